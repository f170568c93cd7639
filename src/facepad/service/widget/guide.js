// Live guidance: sends small frames of the camera while a clip is recorded, and keeps the last answer of the service.

import { Problem, sleep, upload } from "./http.js";

const FRAME = { longest: 480, quality: 0.7 };
const PACE = 200; // Minimum milliseconds from one frame to the next.
const PATIENCE = 3000; // Timeout in milliseconds of a frame.

/** Follows one recording. It is `live` while the service answers; otherwise the steps are shown by time alone. */
export class Guide {
  live = false;
  seen = 0; // Number of steps that the service has seen, in order.
  hint = null; // What the person should do, in words; null for the step itself.
  failed = false; // Whether this clip would fail, so that the person must start again.

  #camera;
  #ask;
  #hints;
  #stop = new AbortController();

  /** `ask(path, options)` is `call` with the upload token. `hints` are texts by the hints of the service. */
  constructor(camera, ask, hints) {
    this.#camera = camera;
    this.#ask = ask;
    this.#hints = hints;
  }

  /** Send frames, one at a time, until `stop` or a permanent problem. It never fails. */
  async run() {
    const { signal } = this.#stop;
    let path = "v1/guidance?start=true";
    while (!signal.aborted) {
      const pause = sleep(PACE);
      try {
        const frame = await this.#camera.picture(FRAME);
        const { seen, hint } = await this.#ask(path, { ...upload(frame, PATIENCE), signal });
        const words = this.#hints[hint] ?? null;
        Object.assign(this, { live: true, seen, hint: words, failed: hint === "start_again" });
        path = "v1/guidance";
      } catch (error) {
        Object.assign(this, { live: false, hint: null });
        if (!(error instanceof Problem && (error.passing || error.slug === "timeout"))) return;
        await sleep(1000 * (error.retryAfter ?? 1));
      }
      await pause;
    }
  }

  stop() {
    this.#stop.abort();
  }
}
