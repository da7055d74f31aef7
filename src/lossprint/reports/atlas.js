"use strict";
lossprint.widgets.atlas = async (place, data) => {
  const { make, picture, draw, choice, levels, select, onselect } = lossprint;
  const { frames, losses, methods, properties, columns } = data;
  const rows = Math.ceil(frames.length / columns);
  const images = await picture("explorer/images");
  const space = "http://www.w3.org/2000/svg";
  const state = { method: 0, property: 0 };

  const tip = make("div", { className: "tip", hidden: true },
    make("canvas", { width: 96, height: 96 }), make("p"));
  const legend = make("p", { className: "legend" });
  const panels = losses.map((loss) => {
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 200 200");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Images as ${loss.title} arranges them`);
    const points = frames.map((_, row) => {
      const circle = document.createElementNS(space, "circle");
      circle.setAttribute("r", "3");
      circle.dataset.row = row;
      svg.append(circle);
      return circle;
    });
    return { loss, svg, points };
  });

  // Numbers in an order from blue to yellow, names around the wheel.
  const paint = (level, all) => {
    const share = all.length > 1 ? all.indexOf(level) / (all.length - 1) : 0;
    return all.every((value) => value !== "" && !Number.isNaN(Number(value)))
      ? `hsl(${250 - 200 * share} 75% ${35 + 22 * share}%)`
      : `hsl(${(360 * all.indexOf(level)) / all.length} 65% ${all.indexOf(level) % 2 ? 38 : 55}%)`;
  };

  const arrange = () => {
    for (const { loss, points } of panels) {
      const xy = loss.points[state.method];
      const reach = Math.max(1e-9, ...xy.flat().map(Math.abs));
      points.forEach((circle, row) => {
        circle.setAttribute("cx", 100 + (92 * xy[row][0]) / reach);
        circle.setAttribute("cy", 100 - (92 * xy[row][1]) / reach);
      });
    }
  };
  const color = () => {
    if (properties.length === 0) return;
    const { values } = properties[state.property];
    const all = levels(values);
    for (const { points } of panels) {
      points.forEach((circle, row) => { circle.style.fill = paint(values[row], all); });
    }
    const shown = all.length > 16 ? [all[0], "…", all.at(-1)] : all;
    legend.replaceChildren(...shown.flatMap((level) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = level === "…" ? "none" : paint(level, all);
      return [swatch, ` ${level} `];
    }));
  };
  const mark = (row, kind, on) => {
    for (const { svg, points } of panels) {
      if (on) {
        for (const other of svg.querySelectorAll(`.${kind}`)) other.classList.remove(kind);
        svg.append(points[row]); // drawn last, so on top
      }
      points[row].classList.toggle(kind, on);
    }
  };

  const leave = () => {
    tip.hidden = true;
    for (const circle of place.querySelectorAll(".hovered")) circle.classList.remove("hovered");
  };
  const hover = (event) => {
    if (event.target.dataset?.row === undefined) {
      leave();
      return;
    }
    const row = +event.target.dataset.row;
    if (!event.target.classList.contains("hovered")) mark(row, "hovered", true);
    draw(tip.firstChild, images, row, columns, rows);
    tip.lastChild.textContent = [`frame ${frames[row]}`,
      ...properties.map(({ title, values }) => `${title}: ${values[row]}`)].join("\n");
    tip.hidden = false;
    const box = event.target.getBoundingClientRect();
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(box.right + 8, room))}px`;
    tip.style.top = `${Math.max(8, Math.min(box.bottom + 8, innerHeight - tip.offsetHeight - 8))}px`;
  };
  for (const { svg } of panels) {
    svg.addEventListener("pointerover", hover);
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("click", (event) => {
      if (event.target.dataset.row !== undefined) select(+event.target.dataset.row);
    });
  }
  onselect((row) => mark(row, "selected", true));

  const [method] = choice("Method", methods.map((text, i) => [String(i), text]), (value) => {
    state.method = +value;
    arrange();
  });
  const [property] = choice("Colour",
    properties.map(({ title }, i) => [String(i), title]), (value) => {
      state.property = +value;
      color();
    });
  place.append(
    make("div", { className: "controls" }, method, property),
    legend,
    make("div", { className: "panels" }, ...panels.map(({ loss, svg }) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = loss.color;
      return make("figure", {}, make("figcaption", {}, swatch, ` ${loss.title}`), svg);
    })),
    make("p", { className: "hint", textContent:
      "Point at an image to see it; press it to mark it under every loss and open it above." }),
    tip);
  arrange();
  color();
};
