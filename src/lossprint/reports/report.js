"use strict";
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
