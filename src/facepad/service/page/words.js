// The texts of the page: verdicts, reasons with advice, and problems with advice.

import { TEXTS } from "../widget/texts.js";

/** The word and the tone of each label. */
export function verdictOf(label) {
  if (label === "bona_fide") return { word: "Live", tone: "live" };
  if (label === "attack") return { word: "Attack", tone: "attack" };
  return { word: "Undecided", tone: "undecided" };
}

const REASONS = {
  no_face: ["No face was found.", "Look at the camera, and let the whole face be in the picture."],
  face_too_small: ["The face is too small.", "Come closer, until the face fills the oval."],
  too_dark: ["It is too dark.", "Turn to a window or a lamp, so that light falls on the face from the front."],
  too_bright: ["It is too bright.", "Step out of direct light, or turn away from it."],
  too_blurred: ["The picture is blurred.", "Hold still, wipe the lens, and come to where the camera is sharp."],
  multiple_faces: ["Several faces are in the picture.", "Let only one person be in the picture."],
  face_at_border: [
    "The face is cut off by the edge of the picture.",
    "Move to the middle, until the whole face is in the picture.",
  ],
  tilted: ["The head is tilted.", "Hold your head and the camera upright."],
  turned: ["The face is turned away.", "Look straight at the camera."],
  too_few_frames: ["Still looking.", "Hold still, and look at the camera, until there is a verdict."],
  no_threshold: [
    "This model gives scores only.",
    "It has no threshold, so nothing is decided. “facepad calibrate” chooses one on data of your own.",
  ],
  challenge_failed: [
    "The steps were not all seen.",
    "Start again, and follow them one after another and nothing else, slowly, with the whole face in the picture.",
  ],
};

/** The meaning of a reason, and advice. An unknown reason is shown by its name. */
export function reasonOf(reason) {
  const [what, improve] = REASONS[reason] ?? [reason.replaceAll("_", " ") + ".", ""];
  return { what, improve };
}

/** Score and threshold with three to six decimal places, enough to show a difference. */
export function numbersOf(score, threshold) {
  let places = 3;
  if (threshold !== null && score !== threshold) {
    while (places < 6 && score.toFixed(places) === threshold.toFixed(places)) places += 1;
  }
  return { score: score.toFixed(places), threshold: threshold === null ? null : threshold.toFixed(places) };
}

/** The answer in one sentence, without the verdict. */
export function sentenceOf(answer) {
  if (answer.score === null) return reasonOf(answer.reasons[0] ?? "no_score").what;
  const { score, threshold } = numbersOf(answer.score, answer.threshold);
  if (answer.label === "bona_fide") return `The score ${score} reaches the threshold ${threshold}.`;
  if (answer.label === "attack") return `The score ${score} is below the threshold ${threshold}.`;
  return `The score is ${score}. ${reasonOf(answer.reasons[0] ?? "no_threshold").what}`;
}

/** The texts of a problem for the user: a title and advice. */
export function adviceOn(problem) {
  const seconds = problem.retryAfter;
  const later = seconds ? `Try again in ${seconds} s.` : "Try again in a moment.";
  const known = {
    unreachable: ["The service cannot be reached", "Check the network, and whether the service is running."],
    slow: ["The service takes too long", later],
    unauthorized: ["An API key is needed", "Give the key above, then try again."],
    busy: ["The service is busy", later],
    "too-many-requests": ["Too many requests", later],
    "too-large": ["The file is too large", problem.detail],
    "unsupported-media": [
      "Neither a picture nor a clip",
      "Choose a photo (JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF) or a short clip (MP4, MOV, WebM or another usual format).",
    ],
    unreadable: ["The file cannot be read", problem.detail],
    timeout: ["The service took too long", later],
    "not-ready": ["The service is starting", later],
    "challenges-off": ["There is no active check", "This service offers none now."],
    "start-again": TEXTS.en.problems["start-again"],
    "session-refused": ["The active check has expired", "Start it again."],
  };
  const [title, text] = known[problem.slug] ?? [problem.title, problem.detail];
  return { title, text };
}

/** The title and text for the unreadable files of a request with several files. */
export function adviceOnFiles(names, count) {
  const which = names.length === 1 ? "One" : names.length;
  return { title: `${which} of ${count} files cannot be judged`, text: names.join(", ") };
}

/** The reason why the camera does not start, and advice. `name` is the name of the browser error. */
export function adviceOnCamera(name) {
  const [title, text] = TEXTS.en.camera[name] ?? TEXTS.en.camera.other;
  const upload = name === "ended" ? "" : " You can choose a picture or a clip instead.";
  return { title, text: `${text.replace("{name}", name)}${upload}` };
}
