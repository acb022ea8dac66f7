// Elements made of values. Everything is inserted as text; nothing here, or anywhere in these pages, reads HTML.

// What hides, reverses or overprints text: control characters, directional and invisible ones.
const UNSEEN =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function plain(text) {
  return String(text ?? "").replace(UNSEEN, (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"));
}

export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : plain(value));
  }
  put(element, ...children);
  return element;
}

export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(plain(child)));
  }
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

// What somebody else wrote: in its own direction, apart from what stands around it.
export function said(text, fallback = "–") {
  return text ? el("bdi", { dir: "auto", class: "said" }, text) : el("span", { class: "muted" }, fallback);
}

export function badge(text, kind = "") {
  return el("span", { class: `badge ${kind}` }, text);
}

export function link(href, ...children) {
  return el("a", { href }, ...children);
}

export function section(title, ...children) {
  const id = "s-" + title.toLowerCase().replace(/[^a-z]+/g, "-");
  return el("section", { "aria-labelledby": id, class: "panel" }, el("h2", { id }, title), ...children);
}

export function loading(what) {
  return el("p", { class: "state", role: "status" }, el("span", { class: "spinner", "aria-hidden": "true" }), `Loading ${what} …`);
}

export function nothing(title, ...advice) {
  return el("div", { class: "state" }, el("p", { class: "strong" }, title), el("p", { class: "muted" }, ...advice));
}

export function trouble(error, again) {
  return el(
    "div",
    { class: "state bad", role: "alert" },
    el("p", { class: "strong" }, error.status === 403 ? "Your token is not for this" : "This could not be loaded"),
    el("p", {}, error.message),
    again && error.status !== 403 ? el("button", { type: "button", class: "quiet", onclick: again }, "Try again") : null,
  );
}

// A table whose rows become cards on a small screen. columns: [title, (row) => cell, class].
export function table(caption, columns, rows) {
  const head = el("tr", {}, columns.map(([title]) => el("th", { scope: "col" }, title)));
  const body = rows.map((row) =>
    el("tr", {}, columns.map(([title, cell, kind]) => el("td", { "data-label": title, class: kind }, cell(row)))),
  );
  return el(
    "table",
    {},
    el("caption", { class: "hidden" }, caption),
    el("thead", {}, head),
    el("tbody", {}, body),
  );
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

export function toast(text, kind = "") {
  const shown = el("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

// Asks whether something is meant; Escape and Cancel are no.
export function confirm(title, text, yes) {
  return new Promise((resolve) => {
    const done = (answer) => {
      dialog.close();
      dialog.remove();
      back?.focus();
      resolve(answer);
    };
    const back = document.activeElement;
    const dialog = el(
      "dialog",
      {
        "aria-labelledby": "ask-title",
        oncancel: (event) => {
          event.preventDefault();
          done(false);
        },
      },
      el("h2", { id: "ask-title" }, title),
      el("p", {}, text),
      el(
        "div",
        { class: "row end" },
        el("button", { type: "button", class: "quiet", onclick: () => done(false) }, "Cancel"),
        el("button", { type: "button", class: "danger", onclick: () => done(true) }, yes),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
