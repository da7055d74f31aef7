"use strict";
lossprint.widgets.explorer = async (place, data) => {
  const { make, picture, tile, draw, choice, levels, select, onselect } = lossprint;
  const { columns, frames, losses, properties } = data;
  const rows = Math.ceil(frames.length / columns);
  const mapRows = Math.ceil(data.mapped / columns);
  const images = await picture("explorer/images");
  const state = { row: 0, near: null, seeds: "mean", opacity: 0.7, property: "", level: "" };

  const thumbnail = (row, size, text) => {
    const canvas = make("canvas", { width: size, height: size, role: "img", "aria-label": text });
    draw(canvas, images, row, columns, rows);
    return canvas;
  };
  const name = (row) => `frame ${frames[row]}`;

  // A map [size, size] of bytes; several are averaged.
  const bytes = (sheets, row, count) => {
    const [x, y, width, height] = tile(sheets[0], row, columns, count);
    const [w, h] = [Math.round(width), Math.round(height)];
    const canvas = make("canvas", { width: w, height: h });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const sum = new Float32Array(w * h);
    for (const sheet of sheets) {
      context.drawImage(sheet, x, y, width, height, 0, 0, w, h);
      const { data: pixels } = context.getImageData(0, 0, w, h);
      for (let i = 0; i < sum.length; i += 1) sum[i] += pixels[4 * i];
    }
    return { w, h, values: sum.map((value) => value / sheets.length) };
  };

  // The picture as it is, and over it the map: the more salient, the less of the picture is seen.
  const overlay = (row, map, text) => {
    const canvas = thumbnail(row, 144, text);
    if (map === null) return canvas;
    const heat = make("canvas", { width: map.w, height: map.h });
    const pixels = new ImageData(map.w, map.h);
    map.values.forEach((value, i) => {
      const level = Math.round(value);
      pixels.data.set([...data.colormap[level], 255], 4 * i);
    });
    heat.getContext("2d").putImageData(pixels, 0, 0);
    const context = canvas.getContext("2d");
    context.globalAlpha = state.opacity;
    context.imageSmoothingQuality = "high";
    context.drawImage(heat, 0, 0, canvas.width, canvas.height);
    return canvas;
  };

  const strip = make("div", { className: "thumbnails", role: "listbox", "aria-label": "Images" });
  const count = make("output");
  const facts = make("dl", { className: "facts" });
  const chosen = make("div", { className: "chosen" });
  const why = make("p", { className: "why", "aria-live": "polite" });
  const results = make("div", { className: "by-loss" });

  const buttons = frames.map((_, row) => {
    const button = make("button", { type: "button", title: name(row), role: "option" },
      thumbnail(row, 56, name(row)));
    button.dataset.row = row;
    button.addEventListener("click", () => select(row));
    return button;
  });

  const explained = (loss) =>
    loss.pairs.find(([row, near]) => row === state.row && near === state.near);

  const neighbor = (loss, [row, similarity]) => {
    const text = `${name(row)}, similarity ${similarity.toFixed(3)}`;
    const button = make("button", { type: "button", title: text }, thumbnail(row, 44, text));
    button.setAttribute("aria-pressed", String(row === state.near));
    button.dataset.row = row;
    button.addEventListener("click", () => {
      state.near = row === state.near ? null : row;
      show();
    });
    return button;
  };

  const tell = () => {
    why.replaceChildren();
    if (state.near === null) return;
    const where = losses.filter((loss) => loss.neighbors[state.row]
      .some(([row]) => row === state.near)).map((loss) => loss.title);
    const made = losses.some(explained);
    const look = make("button", { type: "button", textContent: `Look at ${name(state.near)}` });
    look.addEventListener("click", () => select(state.near));
    why.append(
      thumbnail(state.near, 56, name(state.near)),
      ` ${name(state.near)} is among the nearest under ${where.join(", ")}. `,
      made
        ? "Shown is what makes the two alike: maps of the distance to it. "
        : "No maps of the distance to it were made (study.neighbor_maps asks for them). ",
      look);
  };

  const show = async () => {
    const { row } = state;
    for (const button of buttons) button.setAttribute("aria-selected", String(+button.dataset.row === row));
    facts.replaceChildren(
      ...[["image", frames[row]],
        ...properties.map(({ title, values }) => [title, values[row]]),
        ...(data.agreement[row] === null ? []
          : [["agreement of losses", `r = ${data.agreement[row].toFixed(2)}`]])]
        .flatMap(([term, value]) => [
          make("dt", { textContent: term }), make("dd", { textContent: value })]));
    chosen.replaceChildren(thumbnail(row, 224, name(row)));
    tell();
    const cells = await Promise.all(losses.map(async (loss) => {
      const pair = explained(loss);
      const pictures = make("div", { className: "maps" });
      const sheets = row < data.mapped
        ? await Promise.all(loss.runs.map((run) => picture(run.maps))) : [];
      if (pair) {
        const map = bytes([await picture(data.explained)], pair[2], data.explainedRows);
        pictures.append(overlay(row, map, `${loss.title}: distance to ${name(state.near)}`));
      } else if (sheets.length === 0) {
        pictures.append(overlay(row, null, `${loss.title}: no map of this image`));
      } else if (state.seeds === "mean") {
        pictures.append(overlay(row, bytes(sheets, row, mapRows), `map of ${loss.title}`));
      } else {
        sheets.forEach((sheet, i) => pictures.append(
          overlay(row, bytes([sheet], row, mapRows), `map of ${loss.runs[i].name}`)));
      }
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = loss.color;
      return make("section", { className: "loss" },
        make("h4", {}, swatch, ` ${loss.title}`),
        pictures,
        make("div", { className: "neighbors", "aria-label": "Nearest neighbours" },
          ...loss.neighbors[row].map((entry) => neighbor(loss, entry))));
    }));
    // A later choice may have been drawn meanwhile.
    if (row === state.row) results.replaceChildren(...cells);
  };

  const order = { frame: (row) => row, disagreement: (row) => data.agreement[row] ?? Infinity };
  const list = () => {
    const kept = buttons.filter((button) => state.property === "" || state.level === ""
      || properties[+state.property].values[+button.dataset.row] === state.level);
    kept.sort((a, b) => {
      const [x, y] = [a, b].map((button) => order[sort.value](+button.dataset.row));
      return x === y ? +a.dataset.row - +b.dataset.row : x - y;
    });
    strip.replaceChildren(...kept);
    count.textContent = `${kept.length} of ${frames.length} images`;
  };
  const [sortLabel, sort] = choice("Sort by",
    [["frame", "frame"], ["disagreement", "disagreement of losses"]], list);
  const offer = () => {
    const values = state.property === "" ? [] : levels(properties[+state.property].values);
    level.replaceChildren(make("option", { value: "", textContent: "all" }),
      ...values.map((value) => make("option", { value, textContent: value })));
    level.disabled = values.length === 0;
    state.level = "";
  };
  const [propertyLabel] = choice("Property",
    [["", "any"], ...properties.map(({ title }, i) => [String(i), title])], (value) => {
      state.property = value;
      offer();
      list();
    });
  const [levelLabel, level] = choice("Level", [], (value) => {
    state.level = value;
    list();
  });
  const [seedLabel] = choice("Maps", [["mean", "mean over runs"], ["each", "each run"]], (value) => {
    state.seeds = value;
    show();
  });
  const opacity = make("input", { type: "range", min: 0, max: 100, value: 100 * state.opacity });
  opacity.addEventListener("input", () => {
    state.opacity = opacity.value / 100;
    show();
  });

  place.append(
    make("div", { className: "controls" }, sortLabel, propertyLabel, levelLabel, count),
    strip,
    make("div", { className: "controls" }, seedLabel,
      make("label", {}, "Opacity of maps ", opacity)),
    make("div", { className: "image" }, chosen, make("div", {}, facts, why)),
    results);
  offer();
  list();
  onselect((row) => {
    state.row = row;
    state.near = null;
    show();
  });
  const first = data.agreement.reduce(
    (best, value, row) => (value !== null && (best === null || value < data.agreement[best])
      ? row : best), null);
  select(first ?? 0);

  // The cards of the losses: what some images find under that loss.
  for (const card of document.querySelectorAll(".card")) {
    const loss = losses.find((other) => other.name === card.dataset.loss);
    if (!loss) continue;
    card.addEventListener("toggle", () => {
      const gallery = card.querySelector(".card-gallery");
      if (!card.open || gallery.childElementCount) return;
      const asked = [...frames.keys()]
        .sort((a, b) => order.disagreement(a) - order.disagreement(b) || a - b).slice(0, 3);
      gallery.append(make("p", { textContent: "Images, and what is nearest to them:" }),
        ...asked.map((row) => make("div", { className: "retrieval" },
          thumbnail(row, 56, name(row)), "→",
          ...loss.neighbors[row].map(([near]) => thumbnail(near, 44, name(near))))));
    });
  }
};
