/** Detail of `facepad-done`: the upload has arrived. The verdict is for the backend alone. */
export interface FacepadDone {
  /** The attribute `session`. */
  session: string | null;
  check: "passive" | "challenge";
}

/** Detail of `facepad-error`. */
export interface FacepadError {
  /** The attribute `session`. */
  session: string | null;
  /** Name of a problem of the service, "unreachable", "slow", "no-recording", "start-again", or "camera-" with the browser's error. */
  name: string;
  /** The problem in the language of the element. */
  message: string;
  /** Whether the session has ended. Otherwise the person can try again. */
  final: boolean;
}

/** `<facepad-check service="https://..." session="ID" token="..." lang="en" camera-only>` */
export class FacepadCheck extends HTMLElement {}

declare global {
  interface HTMLElementTagNameMap {
    "facepad-check": FacepadCheck;
  }
  interface HTMLElementEventMap {
    "facepad-done": CustomEvent<FacepadDone>;
    "facepad-error": CustomEvent<FacepadError>;
  }
}
