"use strict";
// The page of a run: ten thousand rows are a list of which only the visible part exists.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const ROW = 28, SPARE = 12, BAD = new Set(data.bad);
  const ID = 0, OUTCOME = 1, START = 2, SECONDS = 3, WORKER = 4, MESSAGE = 5;
  const get = (id) => document.getElementById(id);
  const list = get("list"), rows = get("rows"), search = get("search"), order = get("order"), detail = get("detail");
  const shownOutcomes = new Set();
  const texts = data.tests.map((test, index) => (test[ID] + " " + test[MESSAGE] + " " + tagText(index)).toLowerCase());
  const places = new Map(data.tests.map((test, index) => [test[ID], index]));
  let found = [], selected = -1;

  function tagText(index) {
    const tags = (data.details[index] || {}).tags || {};
    return Object.entries(tags).map(([name, value]) => name + "=" + value).join(" ");
  }

  function make(name, className, text) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const outcomeOf = (index) => data.outcomes[data.tests[index][OUTCOME]];
  const seconds = (value) => value >= 100 ? value.toFixed(0) + " s" : value >= 1 ? value.toFixed(2) + " s" : (value * 1000).toFixed(1) + " ms";

  // What is shown --------------------------------------------------------------------------------------------------

  const ORDERS = {
    failed: (a, b) => BAD.has(outcomeOf(b)) - BAD.has(outcomeOf(a)) || a - b,
    run: (a, b) => data.tests[a][START] - data.tests[b][START] || a - b,
    slow: (a, b) => data.tests[b][SECONDS] - data.tests[a][SECONDS] || a - b,
    name: (a, b) => data.tests[a][ID] < data.tests[b][ID] ? -1 : 1,
  };

  function refresh() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = selected >= 0 ? found[selected] : undefined;
    found = [];
    for (let index = 0; index < data.tests.length; index++) {
      if (shownOutcomes.size && !shownOutcomes.has(outcomeOf(index))) continue;
      if (words.every((word) => texts[index].includes(word))) found.push(index);
    }
    found.sort(ORDERS[order.value]);
    selected = kept === undefined ? -1 : found.indexOf(kept);
    rows.style.height = found.length * ROW + "px";
    get("found").textContent = found.length.toLocaleString("en") + " of " + data.tests.length.toLocaleString("en") + " tests";
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    const visible = document.createDocumentFragment();
    for (let at = first; at < last; at++) visible.append(row(at));
    rows.replaceChildren(visible);
    if (selected >= first && selected < last) list.setAttribute("aria-activedescendant", "row-" + found[selected]);
    else list.removeAttribute("aria-activedescendant");
  }

  function row(at) {
    const index = found[at], test = data.tests[index], node = make("div", "row");
    node.id = "row-" + index;
    node.setAttribute("role", "option");
    node.setAttribute("aria-posinset", at + 1);
    node.setAttribute("aria-setsize", found.length);
    node.setAttribute("aria-selected", at === selected);
    node.style.top = at * ROW + "px";
    // A fixture is called "setUpClass (tests.test_a.TestA)": its name comes first anyway.
    const dot = test[ID].includes(" (") ? -1 : test[ID].lastIndexOf("."), name = make("span", "name");
    name.append(test[ID].slice(dot + 1) + " ", make("span", "dim", test[ID].slice(0, Math.max(dot, 0))));
    node.append(make("span", "outcome " + outcomeOf(index), outcomeOf(index).replace(/_/g, " ")), name);
    node.append(make("span", "message", test[MESSAGE]), make("span", "time", seconds(test[SECONDS])));
    node.title = test[ID];
    node.onclick = () => { select(at); list.focus(); };
    return node;
  }

  // The selected test ----------------------------------------------------------------------------------------------

  function select(at) {
    if (!found.length) return;
    selected = Math.max(0, Math.min(at, found.length - 1));
    const top = selected * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    draw();
    show(found[selected]);
  }

  function show(index) {
    const test = data.tests[index], more = data.details[index] || {};
    const facts = [["outcome", outcomeOf(index).replace(/_/g, " ")], ["took", seconds(test[SECONDS])],
      ["began after", seconds(test[START])], ["worker", data.workers[test[WORKER]] ?? "-"]];
    if (more.place) facts.push(["where", more.place]);
    for (const [name, value] of Object.entries(more.tags || {})) facts.push([name, value]);
    const table = make("dl", "facts");
    for (const [name, value] of facts) {
      const pair = make("div");
      pair.append(make("dt", "", name), make("dd", "", value));
      table.append(pair);
    }
    detail.replaceChildren(make("h3", "", test[ID]), table);
    if (data.history[test[ID]]) detail.append(past(data.history[test[ID]]));
    for (const [title, text] of more.texts || []) detail.append(block(title, text));
    for (const [title, html] of more.pages || []) detail.append(drawn(title, html));
    location.hash = encodeURIComponent(test[ID]);
  }

  function past(letters) {
    const line = make("p", "past");
    line.append("earlier runs, the last one on the right ");
    for (const letter of letters) {
      const name = data.letters[letter] || "failed", mark = make("span", "mark " + name, letter);
      mark.title = name.replace(/_/g, " ");
      line.append(mark);
    }
    return line;
  }

  function block(title, text) {
    const part = make("details");
    part.open = true;
    part.append(make("summary", "", title), make("pre", "", text));
    return part;
  }

  function drawn(title, html) {
    const part = make("details"), frame = make("iframe");
    part.open = true;
    frame.setAttribute("sandbox", ""); // A page of its own, which can do nothing to this one.
    frame.title = title;
    frame.srcdoc = html;
    part.append(make("summary", "", title), frame);
    return part;
  }

  // The timeline of the workers ------------------------------------------------------------------------------------

  const canvas = get("timeline"), LANE = 22, LEFT = 90;

  function paint() {
    const width = canvas.clientWidth, height = data.workers.length * LANE + 18, scale = window.devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.height = height + "px";
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const colours = data.outcomes.map((name) => colour(BAD.has(name) ? "bad" : name === "passed" ? "good" : "mark"));
    pen.scale(scale, scale);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = colour("dim");
    data.workers.forEach((name, lane) => pen.fillText(name, 0, lane * LANE + 15, LEFT - 8));
    pen.fillText("0 s", LEFT, height - 4);
    pen.textAlign = "right";
    pen.fillText(seconds(data.seconds), width, height - 4);
    for (const test of data.tests) {
      if (test[WORKER] < 0) continue;
      const [from, wide] = across(test, width);
      pen.fillStyle = colours[test[OUTCOME]];
      pen.fillRect(from, test[WORKER] * LANE + 3, Math.max(wide - 0.5, 0.75), LANE - 6);
    }
  }

  function across(test, width) {
    const unit = (width - LEFT) / (data.seconds || 1);
    return [LEFT + test[START] * unit, test[SECONDS] * unit];
  }

  function testAt(event) {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, lane = Math.floor((event.clientY - box.top) / LANE);
    let nearest = -1, distance = 4;
    data.tests.forEach((test, index) => {
      if (test[WORKER] !== lane) return;
      const [from, wide] = across(test, box.width), away = Math.max(from - x, x - from - wide, 0);
      if (away < distance) [nearest, distance] = [index, away];
    });
    return nearest;
  }

  canvas.onmousemove = (event) => {
    const index = testAt(event);
    canvas.title = index < 0 ? "" : data.tests[index][ID] + ", " + seconds(data.tests[index][SECONDS]);
  };
  canvas.onclick = (event) => { const index = testAt(event); if (index >= 0) reveal(index); };

  function reveal(index) {
    if (!found.includes(index)) {
      search.value = "";
      shownOutcomes.clear();
      chips();
      refresh();
    }
    select(found.indexOf(index));
    list.scrollIntoView({ block: "nearest" });
  }

  function asked() {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return ""; // A link that somebody cut short.
    }
  }

  // Controls -------------------------------------------------------------------------------------------------------

  function chips() {
    get("chips").replaceChildren(...data.outcomes.map((name, index) => {
      const count = data.tests.reduce((sum, test) => sum + (test[OUTCOME] === index), 0);
      const chip = make("button", "chip outcome " + name, name.replace(/_/g, " ") + " " + count.toLocaleString("en"));
      chip.setAttribute("aria-pressed", shownOutcomes.has(name));
      chip.dataset.outcome = name;
      chip.onclick = () => {
        shownOutcomes.has(name) ? shownOutcomes.delete(name) : shownOutcomes.add(name);
        chip.setAttribute("aria-pressed", shownOutcomes.has(name));
        refresh();
      };
      return chip;
    }));
  }

  function nextBad(step) {
    for (let at = selected + step; at >= 0 && at < found.length; at += step) {
      if (BAD.has(outcomeOf(found[at]))) return select(at);
    }
  }

  const page = () => Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
  const KEYS = {
    j: () => select(selected + 1), ArrowDown: () => select(selected + 1),
    k: () => select(selected - 1), ArrowUp: () => select(selected - 1),
    PageDown: () => select(selected + page()), PageUp: () => select(selected - page()),
    Home: () => select(0), End: () => select(found.length - 1),
    n: () => nextBad(1), p: () => nextBad(-1),
    Enter: () => detail.focus(), "/": () => search.select(), "?": () => get("keys").showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const inField = event.target.matches("input, select, textarea");
    if (event.ctrlKey || event.altKey || event.metaKey || get("keys").open) return;
    if (event.target === search && ["Escape", "Enter", "ArrowDown"].includes(event.key)) {
      list.focus();
      if (selected < 0) select(0);
      return event.preventDefault();
    }
    if (inField || (event.target === detail && event.key !== "Escape" && !"jknp/?".includes(event.key))) return;
    if (event.target.matches("button, summary, a") && event.key === "Enter") return;
    if (event.key === "Escape") return list.focus();
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  for (const link of document.querySelectorAll("[data-test]")) {
    link.onclick = (event) => { event.preventDefault(); reveal(places.get(link.dataset.test)); };
  }
  list.addEventListener("scroll", draw, { passive: true });
  search.oninput = order.onchange = refresh;
  new ResizeObserver(() => { draw(); paint(); }).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  chips();
  refresh();
  paint();
  const wanted = places.get(asked());
  if (wanted !== undefined) reveal(wanted);
  else if (found.length && BAD.has(outcomeOf(found[0]))) select(0);
  document.documentElement.dataset.ready = "yes";
})();
