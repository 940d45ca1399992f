// An interactive figure of stored records. The page has
//   <div class="explorable" data-source="../../data/KEY.json"> a static picture </div>
// and the JSON has the form that docs/generators/explorables/frame.py describes. Without scripts
// the picture stays.
(() => {
  "use strict";
  const WIDTH = 320, HEIGHT = 230, LEFT = 46, RIGHT = 10, TOP = 8, BOTTOM = 40;

  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }

  function shape(name, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }

  // Numbers and axes ----------------------------------------------------------------------------

  function written(value) {
    if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) {
      const [digits, power] = value.toExponential(2).split("e");
      const raised = [...String(Number(power))]
        .map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
      return `${Number(digits) === 1 ? "" : `${Number(digits)}·`}10${raised}`;
    }
    return String(Number(value.toPrecision(3)));
  }

  function logTicks(low, high) {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
    const inside = (values) => values.filter((value) => value >= low && value <= high);
    const decades = inside(powers);
    if (decades.length < 3) return inside(powers.flatMap((power) => [power, 2 * power, 5 * power]));
    return decades.filter((_, i) => i % Math.ceil(decades.length / 6) === 0);
  }

  function linearTicks(low, high) {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
  }

  function axis(scale, given, start, end) {
    const values = given.filter((value) => value !== null);
    const log = scale === "log", to = log ? Math.log : (value) => value;
    let low = Math.min(...values), high = Math.max(...values);
    if (log) [low, high] = [low / 1.2, high * 1.2];
    const share = (value) => (to(value) - to(low)) / (to(high) - to(low));
    return {
      place: (value) => start + Math.max(0, Math.min(1, share(value))) * (end - start),
      ticks: log ? logTicks(low, high) : linearTicks(low, high),
    };
  }

  // One panel -----------------------------------------------------------------------------------

  // The axes span the curves of every choice, so that choices can be compared by eye; a band that
  // reaches farther is cut off.
  function draw(view, all, chosen, pale, mark) {
    const x = axis(view.x.scale, all.flatMap((one) => one.x), LEFT, WIDTH - RIGHT);
    const y = axis(view.y.scale, all.flatMap((one) => one.y), HEIGHT - BOTTOM, TOP);
    const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
    const line = (x1, y1, x2, y2) => shape("line", { x1, y1, x2, y2 });
    const text = (left, top, anchor, words) =>
      shape("text", { x: left, y: top, "text-anchor": anchor }, words);
    const grid = shape("g", { class: "grid" });
    x.ticks.forEach((value) => grid.append(
      line(x.place(value), TOP, x.place(value), HEIGHT - BOTTOM),
      text(x.place(value), HEIGHT - BOTTOM + 14, "middle", written(value))));
    y.ticks.forEach((value) => grid.append(
      line(LEFT, y.place(value), WIDTH - RIGHT, y.place(value)),
      text(LEFT - 5, y.place(value) + 3.5, "end", written(value))));
    grid.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "middle", view.x.label));
    svg.append(grid);

    // A null is a value that was not finite.
    const curve = (xs, ys) => xs
      .map((value, i) => ys[i] !== null && `${x.place(value)},${y.place(ys[i])}`).filter(Boolean);
    [...pale, ...chosen].forEach((series) => {
      const kind = chosen.includes(series) ? "chosen" : "pale";
      const group = shape("g", { class: `${kind} ${series.reference ? "reference" : ""}` });
      if (series.low) {
        const band = [...curve(series.x, series.high), ...curve(series.x, series.low).reverse()];
        group.append(shape("polygon", { points: band.join(" ") }));
      }
      group.append(shape("polyline", { points: curve(series.x, series.y).join(" ") }));
      if (series.x.length < 12) {
        series.x.forEach((value, i) => {
          if (series.y[i] === null) return;
          const r = kind === "chosen" && Math.abs(value - mark) < 1e-6 * value ? 5 : 2.5;
          group.append(shape("circle", { cx: x.place(value), cy: y.place(series.y[i]), r }));
          if (series.high && series.high[i] !== null) {
            group.append(line(x.place(value), y.place(series.low[i]), x.place(value),
              y.place(series.high[i])));
          }
        });
      }
      svg.append(group);
    });
    return { svg, x, y };
  }

  // Reads out the point of a curve that is nearest to the pointer, or the next one by arrow keys.
  function readable(figure, view, { svg, x, y }, series, output) {
    const cursor = shape("circle", { class: "cursor", r: 6, visibility: "hidden" });
    svg.append(cursor);
    let at = -1;
    const show = (wanted) => {
      at = Math.max(0, Math.min(series.x.length - 1, wanted));
      cursor.setAttribute("cx", x.place(series.x[at]));
      cursor.setAttribute("cy", y.place(series.y[at] ?? 1));
      cursor.setAttribute("visibility", "visible");
      const band = series.low && series.high[at] !== null
        ? ` (${written(series.low[at])} to ${written(series.high[at])})` : "";
      output.textContent =
        `${view.x.label} ${written(series.x[at])}: ${written(series.y[at])}${band}`;
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const left = ((event.clientX - box.left) / box.width) * WIDTH;
      const away = series.x.map((value) => Math.abs(x.place(value) - left));
      show(away.indexOf(Math.min(...away)));
    });
    figure.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
      event.preventDefault();
      show(at + (event.key === "ArrowRight" ? 1 : -1));
    });
  }

  function panel(view, all, chosen, pale, mark) {
    const figure = make("figure", {}, make("figcaption", {},
      make("strong", {}, view.title), make("span", { class: "axis" }, view.y.label)));
    if (!chosen.length) {
      figure.append(make("p", { class: "missing" }, "Not measured in these runs."));
      return figure;
    }
    const drawn = draw(view, all, chosen, pale, mark);
    const output = make("output", {}, " ");
    const legend = [...chosen, ...pale].map((series) => make("span",
      { class: `${chosen.includes(series) ? "chosen" : "pale"} ${series.reference ? "dashed" : ""}` },
      series.label));
    figure.append(drawn.svg, make("p", { class: "legend" }, ...legend), output,
      make("p", { class: "note" }, view.note));
    figure.tabIndex = 0;
    figure.setAttribute("aria-label", `${view.title}. Arrow keys read the points of the curve.`);
    readable(figure, view, drawn, chosen[0], output);
    return figure;
  }

  // The whole figure ----------------------------------------------------------------------------

  function explorable(root, data, prefix) {
    const names = data.controls.map((control) => control.name);
    const runs = data.runs.map((run) => Object.fromEntries(names.map((name, i) => [name, run[i]])));
    const panels = make("div", { class: "panels" });
    const summary = make("p", { class: "summary", "aria-live": "polite" });
    const form = make("form", { "aria-label": data.title });
    const inputs = {};
    let choice = runs[0];

    // What was just set stays; the others stay as far as such a run exists, first ones first.
    const settle = (wanted, set) => [set, ...names].reduce((left, name) => {
      const kept = left.filter((run) => run[name] === wanted[name]);
      return kept.length ? kept : left;
    }, runs)[0];
    const agrees = (series, run) =>
      Object.entries(series.at).every(([name, value]) => run[name] === value);

    data.controls.forEach(({ name, label, options }, place) => {
      const field = make("fieldset", {}, make("legend", {}, label));
      options.forEach((option) => {
        const input = make("input", { type: "radio", name: `${prefix}-${name}`, value: option.value });
        input.addEventListener("change", () => {
          choice = settle({ ...choice, [name]: option.value }, name);
          update();
        });
        inputs[`${name} ${option.value}`] = { input, name, value: option.value,
          before: names.slice(0, place) };
        field.append(make("label", {}, input, make("span", {}, option.label)));
      });
      form.append(field);
    });

    function update() {
      Object.values(inputs).forEach(({ input, name, value, before }) => {
        input.checked = choice[name] === value;
        input.disabled = !runs.some((run) =>
          run[name] === value && before.every((one) => run[one] === choice[one]));
      });
      const others = data.controls.find(({ name }) => name === data.beside).options
        .filter(({ value }) => value !== choice[data.beside])
        .map(({ value }) => settle({ ...choice, [data.beside]: value }, data.beside));
      const told = [];
      panels.replaceChildren(...data.views.map((view) => {
        const all = data.series.filter((series) => series.view === view.name);
        const chosen = all.filter((series) => agrees(series, choice));
        const pale = all.filter((series) => !chosen.includes(series)
          && others.some((run) => agrees(series, run)));
        told.push(...chosen.map((series) => series.text));
        return panel(view, all, chosen, pale, Number(choice[view.mark]));
      }));
      const named = data.controls.map(({ name, label, options }) =>
        `${label}: ${options.find(({ value }) => value === choice[name]).label}`);
      summary.textContent = `${named.join("; ")}. ${told.filter(Boolean).join(" ")}`;
    }

    root.replaceChildren(make("p", {}, data.text), form, summary, panels);
    update();
  }

  document.querySelectorAll(".explorable[data-source]").forEach((root, number) => {
    fetch(root.dataset.source)
      .then((answer) => answer.json())
      .then((data) => explorable(root, data, `explorable-${number}`))
      .catch((error) => root.prepend(`The data of this figure could not be loaded: ${error}`));
  });
})();
