// <facepad-check service="https://..." token="...">: takes what a session asks for, and uploads it once.

import { Camera, CameraError } from "./camera.js";
import { guideThrough, listParts, planOf, tickParts } from "./challenge.js";
import { Guide } from "./guide.js";
import { call, patiently, PATIENCE_WITH_A_CHECK, Problem, upload } from "./http.js";
import { STYLE } from "./style.js";
import { stepOf, textsOf } from "./texts.js";

const MARKUP = `
<section aria-labelledby="title">
  <h2 id="title"></h2>
  <p id="hint"></p>
  <div id="stage">
    <video id="camera" muted playsinline></video>
    <svg viewBox="0 0 400 300" aria-hidden="true"><ellipse cx="200" cy="150" rx="82" ry="112"/></svg>
    <p id="step"><span id="arrow" aria-hidden="true"></span> <span id="step-text"></span></p>
  </div>
  <ol id="task"></ol>
  <progress id="progress" max="1" value="0"></progress>
  <p id="problem" role="alert"></p>
  <p id="status" role="status" tabindex="-1"></p>
  <div id="buttons">
    <button id="go" type="button"></button>
    <button id="stop" type="button"></button>
    <button id="other" type="button"></button>
    <label id="picker"><input id="file" type="file" capture="user"><span id="picker-text"></span></label>
  </div>
</section>`;

// Problems after which the token is still valid, so that the person can try again. Another problem ends the session.
const NOT_FINAL = [
  "bad-request", "busy", "no-recording", "not-ready", "slow", "start-again", "too-large", "too-many-requests", "unreachable",
  "unsupported-media", "upload-timeout",
];
const SAME_TEXT = {
  "bad-request": "unsupported-media",
  "not-ready": "busy",
  slow: "unreachable",
  "too-many-requests": "busy",
  "upload-timeout": "unreachable",
};

/** The element. The README describes its attributes and events. */
export class FacepadCheck extends HTMLElement {
  static observedAttributes = ["service", "token", "lang", "camera-only"];

  #root = this.attachShadow({ mode: "open" });
  #camera;
  #check = null; // "passive" or "challenge"; null until the service has told what the session allows.
  #state = "waiting"; // "waiting", "start", "camera", "task" (an active check with another camera app), "over".
  #session = new AbortController(); // Aborted when the token changes or the element is removed.
  #busy = false;
  #placed = false;

  constructor() {
    super();
    this.#root.innerHTML = MARKUP;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    this.#camera = new Camera(this.#at("camera"), () => {
      if (!this.#busy) this.#failed(new CameraError("ended")); // Running work fails by itself.
    });
    this.#at("go").addEventListener("click", () => this.#alone(() => this.#go()));
    this.#at("stop").addEventListener("click", () => this.#alone(() => this.#stop()));
    this.#at("other").addEventListener("click", () => this.#alone(() => this.#showTask()));
    this.#at("file").addEventListener("change", ({ target }) => {
      const [file] = target.files;
      target.value = ""; // Otherwise choosing the same file again would fire no event.
      if (file) this.#alone(() => this.#send(file));
    });
  }

  connectedCallback() {
    this.#placed = true;
    this.#open();
  }

  disconnectedCallback() {
    this.#placed = false;
    this.#session.abort();
    this.#camera.stop();
  }

  attributeChangedCallback(name) {
    if (!this.#placed) return; // The browser gives the first attributes before it places the element.
    if (name === "service" || name === "token") this.#open();
    else this.#show(this.#state);
  }

  get #texts() {
    return textsOf(this.closest("[lang]")?.lang ?? "en");
  }

  get #cameraOnly() {
    return this.hasAttribute("camera-only");
  }

  #at(id) {
    return this.#root.getElementById(id);
  }

  // --- the session ---

  #open() {
    this.#session.abort();
    this.#session = new AbortController();
    this.#camera.stop();
    this.#check = null;
    this.#busy = false;
    this.#say("");
    this.#at("problem").textContent = "";
    this.#show("waiting");
    if (!this.getAttribute("service") || !this.getAttribute("token")) return;
    this.#alone(async () => {
      const { checks } = await this.#ask("v1/uploads");
      const passive = !checks.includes("challenge") || (checks.includes("passive") && !this.#camera.records);
      this.#check = passive ? "passive" : "challenge";
      this.#show("start");
    });
  }

  #ask(path, options = {}) {
    const service = this.getAttribute("service").replace(/\/*$/, "/");
    const url = new URL(path, new URL(service, location.href));
    return call(url, { token: this.getAttribute("token"), signal: this.#session.signal, ...options });
  }

  async #send(blob) {
    const options = this.#check === "challenge" ? upload(blob, PATIENCE_WITH_A_CHECK) : upload(blob);
    this.#say(this.#texts.sending);
    await patiently(() => this.#ask(`v1/uploads?check=${this.#check}`, options), (seconds) =>
      this.#say(this.#texts.busy.replace("{seconds}", seconds)));
    if (this.#session.signal.aborted) return;
    this.#end(this.#texts.done);
    this.#fire("facepad-done", { check: this.#check });
  }

  // --- what the person does ---

  /** Run `work`, unless other work is running. The token may have changed when the work ends. */
  async #alone(work) {
    if (this.#busy) return;
    const { signal } = this.#session;
    this.#setBusy(true);
    this.#at("problem").textContent = "";
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    } finally {
      if (!signal.aborted) this.#setBusy(false);
    }
  }

  async #go() {
    if (this.#state === "camera") return this.#check === "challenge" ? this.#record() : this.#takePicture();
    if (this.#check === "challenge" && !this.#camera.records) throw new Problem({ slug: "no-recording" });
    const { signal } = this.#session;
    await this.#camera.start();
    if (signal.aborted) return this.#camera.stop();
    this.#at("camera").classList.toggle("mirrored", this.#camera.mirrored);
    this.#say(this.#texts.ready);
    return this.#show("camera");
  }

  async #takePicture() {
    await this.#send(await this.#camera.picture());
  }

  async #record() {
    const { signal } = this.#session;
    const { steps, max_seconds: maxSeconds } = await this.#ask("v1/challenge", { method: "POST" });
    const plan = planOf(steps, maxSeconds, this.#texts);
    const guide = new Guide(this.#camera, (path, options) => this.#ask(path, options), this.#texts.hints);
    signal.addEventListener("abort", () => guide.stop());
    listParts(this.#at("task"), plan.slice(1));
    let clip;
    try {
      const show = (...shown) => signal.aborted || this.#showStep(...shown);
      clip = await this.#camera.clip(() => guideThrough(plan, show, guide));
    } finally {
      this.#showStep(null);
    }
    if (!signal.aborted) await this.#send(clip);
  }

  /** Show the steps of an active check in writing, for a person whose browser has no camera. */
  async #showTask() {
    const { steps, max_seconds: maxSeconds } = await this.#ask("v1/challenge", { method: "POST" });
    const texts = this.#texts;
    listParts(this.#at("task"), planOf(steps, maxSeconds, texts));
    this.#say(texts.clipTask.replace("{seconds}", Math.floor(maxSeconds)));
    this.#show("task");
    this.#at("file").focus();
  }

  #stop() {
    this.#camera.stop();
    this.#say("");
    this.#show("start");
    this.#at("go").focus();
  }

  // --- what the person sees ---

  #show(state) {
    this.#state = state;
    const texts = this.#texts;
    const clip = this.#check === "challenge";
    const choosable = ["start", "camera"].includes(state) && !this.#cameraOnly;
    const action = state === "camera" ? texts[clip ? "record" : "picture"] : texts.start;
    for (const [id, text, shown] of [
      ["title", texts.title, true],
      ["hint", texts[clip ? "introClip" : "intro"], state === "start"],
      ["go", action, ["start", "camera"].includes(state)],
      ["stop", texts.stop, state === "camera"],
      ["other", texts.chooseClip, choosable && clip],
      ["picker-text", texts[clip ? "chooseFile" : "choosePicture"], true],
    ]) {
      this.#at(id).textContent = text;
      this.#at(id).hidden = !shown;
    }
    this.#at("stage").hidden = state !== "camera";
    this.#at("picker").hidden = !(state === "task" || (choosable && !clip));
    this.#at("file").accept = clip ? "video/*" : "image/*";
    this.#at("camera").setAttribute("aria-label", texts.cameraLabel);
    this.#at("progress").setAttribute("aria-label", texts.progress);
    if (state !== "camera") this.#showStep(null);
  }

  #showStep(part, done = 0, seen = 0) {
    this.#at("step").hidden = this.#at("progress").hidden = part === null;
    this.#at("task").hidden = part === null && this.#state !== "task";
    this.#at("progress").value = done;
    this.#at("status").classList.toggle("unseen", part !== null); // The stage shows the step; a screen reader hears it.
    if (part === null) return;
    tickParts(this.#at("task"), seen);
    if (this.#at("step-text").textContent === part.text) return;
    this.#at("step-text").textContent = part.text;
    this.#at("arrow").textContent = part.arrow;
    this.#say(part.text);
  }

  #say(text) {
    if (this.#at("status").textContent !== text) this.#at("status").textContent = text;
  }

  #setBusy(on) {
    this.#busy = on;
    // Not `disabled`, because a disabled button loses the keyboard focus.
    for (const id of ["go", "stop", "other", "picker"]) this.#at(id).setAttribute("aria-disabled", String(on));
    this.#root.querySelector("section").setAttribute("aria-busy", String(on));
  }

  #failed(error) {
    const { name, title, text, final } = this.#explain(error);
    this.#say("");
    this.#at("problem").textContent = `${title}. ${text}`;
    if (final) this.#end("");
    else this.#show(this.#state === "camera" && !this.#camera.on ? "start" : this.#state);
    this.#fire("facepad-error", { name, message: title, final });
  }

  #explain(error) {
    const { camera, problems } = this.#texts;
    if (error instanceof CameraError) {
      const [title, text] = camera[error.name] ?? camera.other;
      return { name: `camera-${error.name}`, title, text: text.replace("{name}", error.name), final: false };
    }
    if (!(error instanceof Problem)) console.error(error);
    const name = error.slug ?? "other";
    const [title, text] = problems[SAME_TEXT[name] ?? name] ?? problems.other;
    return { name, title, text, final: !NOT_FINAL.includes(name) };
  }

  #end(text) {
    const focused = this.#root.activeElement !== null;
    this.#camera.stop();
    this.#say(text);
    this.#show("over");
    if (focused) this.#at("status").focus(); // The focused button has disappeared.
  }

  #fire(type, detail) {
    const session = this.getAttribute("session");
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail: { session, ...detail } }));
  }
}

if (!customElements.get("facepad-check")) customElements.define("facepad-check", FacepadCheck);
