"use strict";
// What the widgets of the page share.
const lossprint = (() => {
  const widgets = {};
  const sources = JSON.parse(document.getElementById("pictures").textContent);
  const loading = {};

  // An element with properties, attributes (those with a dash, and the listed ones) and children.
  const make = (tag, properties = {}, ...children) => {
    const found = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "for" || name === "role") found.setAttribute(name, value);
      else found[name] = value;
    }
    found.append(...children);
    return found;
  };

  // The picture of a name, decoded; every caller gets the same one.
  const picture = (name) => {
    loading[name] ??= new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image);
      image.onerror = () => reject(new Error(`picture ${name} cannot be read`));
      image.src = sources[name];
    });
    return loading[name];
  };

  // Where the picture of a row lies on a sheet.
  const tile = (sheet, row, columns, rows) => {
    const [width, height] = [sheet.naturalWidth / columns, sheet.naturalHeight / rows];
    return [(row % columns) * width, Math.floor(row / columns) * height, width, height];
  };

  const draw = (canvas, sheet, row, columns, rows) => {
    const context = canvas.getContext("2d");
    context.drawImage(
      sheet, ...tile(sheet, row, columns, rows), 0, 0, canvas.width, canvas.height);
  };

  const choice = (label, options, onchange) => {
    const select = make("select", {}, ...options.map(([value, text]) =>
      make("option", { value, textContent: text })));
    select.addEventListener("change", () => onchange(select.value));
    return [make("label", {}, `${label} `, select), select];
  };

  // The values of a property, once each: numbers by size, then words by the alphabet.
  const levels = (values) => [...new Set(values)].sort((a, b) => {
    const [m, n] = [a, b].map((value) => (value.trim() === "" ? NaN : Number(value)));
    if (Number.isNaN(m) || Number.isNaN(n)) {
      return Number.isNaN(m) - Number.isNaN(n) || a.localeCompare(b);
    }
    return m - n;
  });

  // The row of the probe images that all widgets look at: told now, and whenever it changes.
  let selected = null;
  const select = (row) => {
    selected = row;
    document.dispatchEvent(new CustomEvent("lossprint:select", { detail: row }));
  };
  const onselect = (follow) => {
    if (selected !== null) follow(selected);
    document.addEventListener("lossprint:select", (event) => follow(event.detail));
  };

  const start = () => {
    for (const place of document.querySelectorAll("[data-widget]")) {
      const data = JSON.parse(place.querySelector("script").textContent);
      widgets[place.dataset.widget](place, data);
    }
  };

  return { widgets, make, picture, tile, draw, choice, levels, select, onselect, start };
})();

(() => {
  const table = document.getElementById("overview");
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const find = document.getElementById("find");
  const family = document.getElementById("family");
  const shown = document.getElementById("shown");

  const key = (row, column) => row.cells[column].dataset.sort;

  // Numbers by size, words by the alphabet, what is missing last in both directions.
  const compare = (column, direction) => (a, b) => {
    const [x, y] = [key(a, column), key(b, column)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const [m, n] = [Number(x), Number(y)];
    const both = !Number.isNaN(m) && !Number.isNaN(n);
    return direction * (both ? m - n : x.localeCompare(y));
  };

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      body.append(...rows.sort(compare(column, ascending ? 1 : -1)));
    });
  });

  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const loss = row.querySelector("[data-column=loss]");
      const name = `${loss.dataset.sort} ${loss.textContent}`.toLowerCase();
      const kind = row.querySelector("[data-column=family]").dataset.sort;
      row.hidden = !name.includes(wanted) || (family.value !== "" && kind !== family.value);
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = `${count} of ${rows.length} shown`;
  };
  find.addEventListener("input", filter);
  family.addEventListener("change", filter);

  // A printed page shows everything.
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();

window.addEventListener("DOMContentLoaded", lossprint.start);
