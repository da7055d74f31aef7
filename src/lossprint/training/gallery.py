"""Pictures of queries and what an embedding holds to be nearest to them."""

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import normalize

# Colour-blind safe (Okabe & Ito); wrong neighbours are also crossed, to be told apart in grey.
RIGHT = (0, 158, 115)
WRONG = (213, 94, 0)
QUERY = (60, 60, 60)
PAPER = (255, 255, 255)
BLOCK = 4096  # embeddings at once in double precision


def pick_queries(labels: Tensor, count: int) -> Tensor:
    """Choose images to ask with: the first of each of `count` classes spread over all classes.

    Args:
        labels: [N] integers.
        count: how many; all classes if there are fewer.

    Returns:
        [Q] rows, in order of the labels.
    """
    classes = labels.unique()
    chosen = classes[torch.linspace(0, len(classes) - 1, min(count, len(classes))).round().long()]
    return torch.stack([(labels == label).nonzero()[0, 0] for label in chosen])


def nearest_neighbors(embeddings: Tensor, queries: Tensor, count: int) -> Tensor:
    """Find the nearest rows by cosine similarity, the query itself left out.

    Args:
        embeddings: [N, D].
        queries: [Q] rows to ask with.
        count: how many neighbours; all others if there are fewer.

    Returns:
        [Q, min(count, N - 1)] rows, nearest first; of equally near ones the lower row comes first.
    """
    asked = normalize(embeddings[queries].double())
    blocks = (normalize(rows.double()) for rows in embeddings.split(BLOCK))
    similarity = torch.cat([asked @ rows.mT for rows in blocks], dim=1)  # [Q, N]
    similarity[torch.arange(len(queries)), queries] = -torch.inf
    order = similarity.argsort(dim=1, descending=True, stable=True)
    return order[:, : min(count, len(embeddings) - 1)]


def neighbor_gallery(
    images: Tensor, labels: Tensor, queries: Tensor, neighbors: Tensor, *, tile: int = 96
) -> Image.Image:
    """Draw one row per query: the query, a gap, its neighbours from near to far, framed.

    Args:
        images: [N, 3, H, W] uint8.
        labels: [N] integers. A neighbour of the query's label is right.
        queries: [Q] rows of `images`.
        neighbors: [Q, K] rows of `images`.
        tile: side of an image in pixels, its frame included.

    Returns:
        A picture; right neighbours have a green frame, wrong ones an orange one and a cross.

    Raises:
        ValueError: if the images are not uint8 [N, 3, H, W], or the shapes disagree.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images must be uint8 [N, 3, H, W], not {images.dtype} {list(images.shape)}"
        )
    if len(labels) != len(images) or neighbors.ndim != 2 or len(neighbors) != len(queries):
        raise ValueError(
            f"shapes disagree: {len(images)} images, {len(labels)} labels, "
            f"{len(queries)} queries, neighbours {list(neighbors.shape)}"
        )
    gap, frame = tile // 4, max(2, tile // 24)
    width = tile * (1 + neighbors.shape[1]) + gap
    picture = Image.new("RGB", (width, tile * len(queries)), PAPER)
    draw = ImageDraw.Draw(picture)

    def place(row: Tensor, left: int, top: int, color: tuple[int, int, int]) -> None:
        inner = tile - 2 * frame - 2
        pixels = images[int(row)].permute(1, 2, 0).contiguous().cpu().numpy()
        image = Image.fromarray(pixels).resize((inner, inner), Image.Resampling.BICUBIC)
        draw.rectangle((left + 1, top + 1, left + tile - 2, top + tile - 2), fill=color)
        picture.paste(image, (left + 1 + frame, top + 1 + frame))

    for line, (query, found) in enumerate(zip(queries, neighbors, strict=True)):
        top = line * tile
        place(query, 0, top, QUERY)
        for rank, neighbor in enumerate(found):
            left = tile * (1 + rank) + gap
            right = bool(labels[neighbor] == labels[query])
            place(neighbor, left, top, RIGHT if right else WRONG)
            if not right:
                size = tile // 6
                x, y = left + tile - frame - size - 3, top + frame + 3
                box = (x - 2, y - 2, x + size + 2, y + size + 2)
                draw.rectangle(box, fill=PAPER)
                draw.line((x, y, x + size, y + size), fill=WRONG, width=frame)
                draw.line((x, y + size, x + size, y), fill=WRONG, width=frame)
    return picture
