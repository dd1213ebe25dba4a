// Tables sort by the column whose head is clicked: numbers (data-value) first and by size, what is missing last.
document.querySelectorAll("table.sortable").forEach(function (table) {
  table.querySelectorAll("thead th").forEach(function (head, column) {
    head.querySelector("button").addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") !== "descending" && !head.classList.contains("text")
        || head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("thead th").forEach(function (other) { other.removeAttribute("aria-sort"); });
      table.classList.remove("ruled");  // rows of a group no longer stand together
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      var body = table.tBodies[0];
      function key(row) {
        var cell = row.cells[column];
        if (head.classList.contains("text")) return cell.textContent.trim();
        return cell.hasAttribute("data-value") ? Number(cell.getAttribute("data-value")) : null;
      }
      Array.from(body.rows)
        .map(function (row, place) { return { row: row, place: place, key: key(row) }; })
        .sort(function (a, b) {
          if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
          var order = typeof a.key === "string" ? a.key.localeCompare(b.key) : a.key - b.key;
          return (down ? -order : order) || a.place - b.place;
        })
        .forEach(function (entry) { body.appendChild(entry.row); });
    });
  });
});
// Where a figure has data for plotly.js, it takes the place of the picture on a screen; paper keeps the picture.
document.querySelectorAll("script.plot").forEach(function (data) {
  var figure = data.parentElement, live = document.createElement("div"), plot = JSON.parse(data.textContent);
  live.className = "live";
  live.style.cssText = figure.querySelector("svg").style.cssText;
  figure.insertBefore(live, data);
  Plotly.newPlot(live, plot.data, plot.layout, plot.config)
    .then(function () { figure.classList.add("has-live"); window.dispatchEvent(new Event("resize")); });
});
