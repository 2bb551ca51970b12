"use strict";
(() => {
  const EVERY_MS = 2000;
  const SOON_MS = 300; // while the days before today are still being read
  const SVG = "http://www.w3.org/2000/svg";
  const by = (id) => document.getElementById(id);
  let shown = null;
  let paused = false;
  let isComplete = false;

  // Every text of the data goes through here or through `textContent`: nothing of it is ever read as markup.
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };

  const bar = (share, level, held) => {
    const cell = make("td", undefined, "bar");
    const whole = make("div");
    whole.setAttribute("aria-hidden", "true");
    for (const [part, name] of [[share, level], [held, level + " held"]]) {
      if (!part) continue;
      const piece = make("i", undefined, name.trim());
      piece.style.width = Math.min(1, part) * 100 + "%";
      whole.append(piece);
    }
    cell.append(whole);
    return cell;
  };

  const table = (labelledBy, heads, rows) => {
    const whole = make("table");
    whole.setAttribute("aria-labelledby", labelledBy);
    const line = make("tr");
    for (const [text, name] of heads) {
      const head = make("th", undefined, name);
      head.scope = "col";
      if (name === "bar") head.append(make("span", text, "hidden"));
      else head.textContent = text;
      line.append(head);
    }
    const top = make("thead");
    top.append(line);
    const body = make("tbody");
    for (const row of rows) body.append(row);
    whole.append(top, body);
    return whole;
  };

  const row = (name, detail, cells) => {
    const line = make("tr");
    const head = make("th", name);
    head.scope = "row";
    if (detail) head.append(make("small", detail));
    line.append(head, ...cells);
    return line;
  };

  const section = (id, title, content, wide, note) => {
    const whole = make("section", undefined, wide ? "wide" : "");
    const head = make("h2", title);
    head.id = id;
    const scroll = make("div", undefined, "scroll");
    scroll.append(content);
    whole.setAttribute("aria-labelledby", id);
    whole.append(head, scroll);
    if (note) whole.append(make("p", note));
    return whole;
  };

  const figures = (found) => found.map((figure) => {
    const whole = make("div", undefined, figure.level);
    const value = make("dd", figure.value);
    value.append(make("small", figure.detail));
    whole.append(make("dt", figure.name), value);
    return whole;
  });

  const chart = (days) => {
    const drawing = document.createElementNS(SVG, "svg");
    const wide = 20, high = 160, last = days[days.length - 1];
    const best = days.reduce((most, day) => (day.share > most.share ? day : most), days[0]);
    drawing.setAttribute("viewBox", `0 0 ${days.length * wide} ${high}`);
    drawing.setAttribute("preserveAspectRatio", "none");
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label",
      `Cost of ${days.length} days, ${days[0].label} to ${last.label}. ` +
      (best.share ? `Most on ${best.label}: ${best.cost}. ` : "") + `Today: ${last.cost}.`);
    days.forEach((day, at) => {
      const column = document.createElementNS(SVG, "rect");
      const height = day.share ? Math.max(2, day.share * (high - 2)) : 0;
      for (const [name, value] of Object.entries(
        { x: at * wide + 3, y: high - height, width: wide - 6, height })) column.setAttribute(name, value);
      if (day === last) column.setAttribute("class", "today");
      const words = document.createElementNS(SVG, "title");
      words.textContent = `${day.label}: ${day.cost}, ${day.calls} calls`;
      column.append(words);
      drawing.append(column);
    });
    const axis = make("div", undefined, "axis");
    axis.setAttribute("aria-hidden", "true");
    axis.append(make("span", days[0].label));
    if (best.share) axis.append(make("span", `most: ${best.cost} on ${best.label}`));
    axis.append(make("span", "today"));
    return [drawing, axis];
  };

  const dayTable = (days) => table("days-title",
    [["Day"], ["Cost"], ["Calls"], ["Avoided"]],
    [...days].reverse().map((day) => row(day.day, "", [
      make("td", day.cost, "strong"), make("td", day.calls), make("td", day.avoided)])));

  const avoided = (lines) => section("avoided-title", "Avoided this month, by what", table("avoided-title",
    [["By"], ["This month"], ["Today"], ["Calls"], ["Share", "bar"]],
    lines.map((line) => row(line.name, "", [
      make("td", line.month, "strong"), make("td", line.today), make("td", line.calls),
      bar(line.share, "good", 0)]))));

  const spend = (part) => section(part.id + "-title", part.title + " this month", table(part.id + "-title",
    [[part.head], ["This month"], ["Today"], ["Calls", "extra"], ["Per call", "extra"], ["Share"], ["Share", "bar"]],
    part.rows.map((line) => {
      const cost = make("td", line.cost, "strong");
      if (line.unpriced) cost.append(make("small", line.unpriced));
      return row(line.name, "", [cost, make("td", line.today), make("td", line.calls, "extra"),
        make("td", line.mean, "extra"), make("td", line.part), bar(line.share, "", 0)]);
    })), part.id === "user");

  const budgets = (lines, note) => section("budgets-title", "Budgets", table("budgets-title",
    [["Who"], ["Spent"], ["Limit", "extra"], ["Left"], ["Used"], ["Used", "bar"], ["Resets", "extra"]],
    lines.map((line) => row(line.name, line.what, [
      make("td", line.spent, "strong"), make("td", line.limit, "extra"), make("td", line.left),
      make("td", line.part), bar(line.share, line.level, line.held), make("td", line.resets, "extra")]))), true, note);

  const show = (data) => {
    document.title = data.title ? `Spend: ${data.title}` : "Spend";
    by("title").textContent = data.title;
    by("month").textContent = data.month;
    by("figures").replaceChildren(...figures(data.figures));
    const said = JSON.stringify(data.notices);
    if (by("notices").dataset.said !== said) {
      by("notices").dataset.said = said;
      by("notices").replaceChildren(...data.notices.map((text) => make("li", text)));
    }
    by("chart").replaceChildren(...(data.days.length ? chart(data.days) : []));
    by("days").replaceChildren(dayTable(data.days));
    by("sections").replaceChildren(
      ...(data.budgets.length ? [budgets(data.budgets, data.more_budgets)] : []),
      ...data.sections.slice(0, 3).map(spend),
      ...(data.avoided.length ? [avoided(data.avoided)] : []),
      ...data.sections.slice(3).map(spend));
    isComplete = data.complete;
    by("main").dataset.ready = data.complete ? "all" : "today";
  };

  const say = (text) => { if (by("status").textContent !== text) by("status").textContent = text; };

  const refresh = async () => {
    try {
      const answer = await fetch("data.json", { cache: "no-cache", credentials: "same-origin" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      by("time").textContent = answer.headers.get("X-Read-At") || "";
      const tag = answer.headers.get("ETag");
      if (tag !== shown || tag === null) {
        show(await answer.json());
        shown = tag;
      }
      say("");
    } catch (error) {
      isComplete = true;
      say("The dashboard does not answer; the figures below are the last ones known.");
    }
  };

  const loop = async () => {
    if (!paused && !document.hidden) await refresh();
    setTimeout(loop, isComplete ? EVERY_MS : SOON_MS);
  };

  by("pause").addEventListener("click", () => {
    paused = !paused;
    by("pause").setAttribute("aria-pressed", String(paused));
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) refresh(); });
  loop();
})();
