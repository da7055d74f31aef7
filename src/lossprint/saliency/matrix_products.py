"""Batches of small matrix products with one side that stays, float32.

Libraries lay out both factors anew for every product; for small ones that takes as long as the
product. Where a processor has AVX-512, the factor that stays is laid out once, and its products are
added up in blocks of 6 x 64 numbers, which fill the registers.
"""

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray
from torch import Tensor

LANES = 16
"""Floats of a register."""

PANEL = 2 * LANES
"""Columns of the right factor that lie together."""

ROWS = 6
"""Rows of a block, and the fewest that a left factor has."""


class RightFactors:
    """Matrices [P, C, K] to be multiplied from the left, again and again.

    Args:
        matrices: float32, on the processor; only one layout of them is kept.
    """

    def __init__(self, matrices: Tensor) -> None:
        self.shape = points, depth, columns = matrices.shape
        self.in_panels = columns % PANEL == 0 and has_wide_registers()
        if self.in_panels:
            matrices = matrices.view(points, depth, columns // PANEL, PANEL).transpose(1, 2)
        self.matrices = matrices.contiguous()

    def multiply(self, left: Tensor, out: Tensor) -> None:
        """Write `left` [P, T, C] @ matrices into `out` [P, T, K]; T is at least `ROWS`."""
        if self.in_panels:
            _multiply(left.numpy(), self.matrices.numpy(), out.numpy())
        else:
            torch.bmm(left, self.matrices, out=out)


def has_wide_registers() -> bool:
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


def _block(panels: int) -> Any:
    """A function that computes a block of `ROWS` rows and 1 or 2 panels of a product.

    It is written in the compiler's own language, because only so do the sums stay in registers.
    """
    vectors = panels * PANEL // LANES

    @intrinsic
    def block(
        typing: Any, left: Any, right: Any, out: Any, row: Any, panel: Any, depth: Any, columns: Any
    ) -> Any:
        """left [T, C], right [K / PANEL, C, PANEL], out [T, K], first row, first panel, C, K."""
        number = types.intp
        signature = types.void(left, right, out, number, number, number, number)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left, right, out = (
                context.make_array(kind)(context, builder, argument).data
                for kind, argument in zip(signature.args[:3], arguments[:3], strict=True)
            )
            row, panel, depth, columns = arguments[3:]
            index, vector = row.type, ir.VectorType(ir.FloatType(), LANES)
            lane = ir.IntType(32)
            multiply_add = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32"
            )

            def at(base: Any, offset: Any) -> Any:
                return builder.gep(base, [offset])

            def vector_at(base: Any, position: int) -> Any:
                return builder.bitcast(
                    at(base, ir.Constant(index, position * LANES)), vector.as_pointer()
                )

            rows = [builder.add(row, ir.Constant(index, i)) for i in range(ROWS)]
            lefts = [at(left, builder.mul(i, depth)) for i in rows]
            width = ir.Constant(index, PANEL)
            size = builder.mul(depth, width)
            first = at(right, builder.mul(panel, size))

            before = builder.block
            loop, after = (builder.append_basic_block(name) for name in ("depth", "sums"))
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(index)
            k.add_incoming(ir.Constant(index, 0), before)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(ROWS)]
            lines = [at(first, builder.mul(k, width))]
            if panels == 2:
                lines.append(at(lines[0], size))
            weights = [
                builder.load(vector_at(line, j), align=4)
                for line in lines
                for j in range(PANEL // LANES)
            ]
            undefined = ir.Constant(vector, ir.Undefined)
            everywhere = ir.Constant(ir.VectorType(lane, LANES), [0] * LANES)
            for base, line_sums in zip(lefts, sums, strict=True):
                single = builder.insert_element(
                    undefined, builder.load(at(base, k)), ir.Constant(lane, 0)
                )
                value = builder.shuffle_vector(single, undefined, everywhere)
                for j, total in enumerate(line_sums):
                    total.add_incoming(ir.Constant(vector, None), before)
                    line_sums[j] = builder.call(multiply_add, [value, weights[j], total])
                    total.add_incoming(line_sums[j], loop)
            following = builder.add(k, ir.Constant(index, 1))
            k.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)

            builder.position_at_end(after)
            column = builder.mul(panel, width)
            for i, line_sums in zip(rows, sums, strict=True):
                target = at(out, builder.add(builder.mul(i, columns), column))
                for j, total in enumerate(line_sums):
                    builder.store(total, vector_at(target, j), align=4)
            return context.get_dummy_value()

        return signature, generate

    return block


_one_panel, _two_panels = _block(1), _block(2)

_jit: Any = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def _multiply(
    left: NDArray[np.float32], panels: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    points, rows, depth = left.shape
    columns = out.shape[2]
    count = columns // PANEL
    for point in range(points):
        a, b, c = left[point], panels[point], out[point]
        for panel in range(0, count, 2):
            for start in range(0, rows, ROWS):
                row = min(start, rows - ROWS)  # the last block shares rows with the one before it
                if panel + 1 < count:
                    _two_panels(a, b, c, row, panel, depth, columns)
                else:
                    _one_panel(a, b, c, row, panel, depth, columns)
