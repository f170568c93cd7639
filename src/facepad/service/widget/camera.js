// The camera: starting and stopping it, single pictures, short clips.

const LONGEST = 1280; // Maximum pixels of the longer side. Larger pictures would only be slower.
const QUALITY = 0.95; // Low compression, to keep the fine traces of a print or a screen.
const CLIP_TYPES = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];

export class CameraError extends Error {
  constructor(name) {
    super(name);
    this.name = name;
  }
}

export class Camera {
  #video;
  #stream = null;

  /** Shows the camera in `video`. `ended` is called when the camera stops unexpectedly. */
  constructor(video, ended) {
    this.#video = video;
    this.ended = ended;
  }

  get on() {
    return this.#stream !== null;
  }

  /** Whether the shown picture is mirrored. Only the picture of the rear camera of a phone is not mirrored. */
  get mirrored() {
    return this.#stream?.getVideoTracks()[0]?.getSettings().facingMode !== "environment";
  }

  /** The id of the device in use. */
  get device() {
    return this.#stream?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** Height and width in pixels. */
  get size() {
    return [this.#video.videoHeight, this.#video.videoWidth];
  }

  /** Start the camera `device`, or any camera if `device` is not given. Throws CameraError. */
  async start(device = "") {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new CameraError("insecure");
    this.stop();
    const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
    const video = { ...which, width: { ideal: 1280 }, height: { ideal: 720 } };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: false, video });
    } catch (error) {
      throw new CameraError(error.name);
    }
    this.#stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.ended();
    });
    this.#video.srcObject = stream;
    await this.#video.play().catch(() => {}); // The camera was stopped before its first picture.
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** All cameras, as [{id, label}]. */
  async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    const cameras = all.filter((device) => device.kind === "videoinput");
    return cameras.map((device, index) => ({ id: device.deviceId, label: device.label || `Camera ${index + 1}` }));
  }

  /** The current picture as a JPEG blob, not mirrored, with at most `longest` pixels on its longer side. */
  picture({ longest = LONGEST, quality = QUALITY } = {}) {
    const [height, width] = this.size;
    if (!width) throw new CameraError("ended");
    const scale = Math.min(1, longest / Math.max(height, width));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
  }

  /** Whether this browser can record clips. */
  get records() {
    return typeof MediaRecorder === "function" && CLIP_TYPES.some((type) => MediaRecorder.isTypeSupported(type));
  }

  /** Record until `work` is done, and return the clip as a blob. */
  async clip(work) {
    const mimeType = CLIP_TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = new MediaRecorder(this.#stream, { mimeType, videoBitsPerSecond: 2_500_000 });
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    const stopped = new Promise((done) => recorder.addEventListener("stop", done, { once: true }));
    const started = new Promise((done) => recorder.addEventListener("start", done, { once: true }));
    recorder.start();
    try {
      await Promise.race([started, stopped]);
      await work();
    } finally {
      if (recorder.state !== "inactive") recorder.stop();
      await stopped;
    }
    if (!this.on) throw new CameraError("ended");
    return new Blob(parts, { type: mimeType.split(";")[0] });
  }
}
