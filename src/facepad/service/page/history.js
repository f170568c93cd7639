// The answers of this visit: a list on the page, and a JSON file without pictures.

import { numbersOf, verdictOf } from "./words.js";

export class History {
  #table;
  #entries = [];

  /** Shows the list in `table`. While the list is empty, `empty` is shown and `buttons` are disabled. */
  constructor(table, empty, buttons) {
    this.#table = table;
    this.empty = empty;
    this.buttons = buttons;
    this.#changed();
  }

  /** Add the answer on a picture or a clip. */
  add(source, answer) {
    const entry = { at: new Date().toISOString(), source, answer: withoutPictures(answer) };
    this.#entries.push(entry);
    const { word, tone } = verdictOf(answer.label);
    this.#row(entry.at, source).fill(word, tone, scoreOf(answer));
    this.#changed();
  }

  /** Begin an entry for a live view, and return a function that adds an answer to the entry. */
  addLive() {
    const entry = { at: new Date().toISOString(), source: "Live view", model: null, pictures: [] };
    const started = performance.now();
    let row = null;
    return (answer) => {
      if (row === null) {
        this.#entries.push(entry);
        row = this.#row(entry.at, entry.source);
        this.#changed();
      }
      const seconds = Math.round(performance.now() - started) / 1000;
      const { label, score, threshold, reasons, request_id } = answer;
      entry.model = answer.model;
      entry.pictures.push({ seconds, label, score, threshold, reasons, request_id });
      const { tone } = verdictOf(label);
      row.fill(countsOf(entry.pictures), tone, scoreOf(answer));
    };
  }

  clear() {
    this.#entries = [];
    this.#table.tBodies[0].replaceChildren();
    this.#changed();
  }

  /** The list as a JSON blob. */
  document() {
    const page = { saved: new Date().toISOString(), entries: this.#entries };
    return new Blob([JSON.stringify(page, null, 2) + "\n"], { type: "application/json" });
  }

  #row(at, source) {
    const row = this.#table.tBodies[0].insertRow(0);
    const time = document.createElement("time");
    time.dateTime = at;
    time.textContent = new Date(at).toLocaleTimeString();
    row.insertCell().append(time);
    row.insertCell().textContent = source;
    const [verdict, score] = [row.insertCell(), row.insertCell()];
    const fill = (word, tone, number) => {
      verdict.textContent = word;
      verdict.dataset.tone = tone;
      score.textContent = number;
    };
    return { fill };
  }

  #changed() {
    const none = this.#entries.length === 0;
    this.#table.hidden = none;
    this.empty.hidden = !none;
    for (const button of this.buttons) button.disabled = none;
  }
}

function scoreOf(answer) {
  return answer.score === null ? "none" : numbersOf(answer.score, answer.threshold).score;
}

/** The counts as text, such as "12 live, 3 undecided". */
function countsOf(pictures) {
  const counts = new Map();
  for (const { label } of pictures) {
    const word = verdictOf(label).word.toLowerCase();
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, count]) => `${count} ${word}`).join(", ");
}

/** A deep copy without depth maps and occlusion maps. */
export function withoutPictures(answer) {
  return JSON.parse(JSON.stringify(answer, (name, value) => (name === "depth_map" || name === "occlusion_map" ? undefined : value)));
}
