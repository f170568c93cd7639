// A steady verdict on the pictures of a live view, by the rules of facepad.Stream (facepad/predict/stream.py). The service
// judges each picture alone. This file does not follow a face: the service chooses the face in each picture.

const LEAST = 5; // Least number of scored pictures for a verdict, and of attack pictures in a row for an attack.
const WINDOW = 15; // Number of the last scored pictures that decide.
const LOST = 5; // Number of pictures without a score after which the verdict starts anew.
const MARGIN = 0.1; // Part of the range above the threshold by which a score must exceed it to become live.

export class Steady {
  #scores = [];
  #verdict = null; // {label, score}; null while undecided.
  #unscored = 0;

  /** The answer on the last pictures: `answer` with the steady label, score and reasons. */
  add(answer) {
    if (answer.score === null) {
      this.#unscored += 1;
      if (this.#unscored === LOST) [this.#scores, this.#verdict] = [[], null];
    } else {
      this.#unscored = 0;
      this.#scores = [...this.#scores, answer.score].slice(-WINDOW);
      this.#verdict = this.#decide(answer.threshold);
    }
    if (this.#verdict) return { ...answer, ...this.#verdict, reasons: [] };
    const few = answer.threshold === null ? [] : ["too_few_frames"];
    const score = this.#scores.length ? scoreOf(this.#scores) : null;
    return { ...answer, label: null, score, reasons: [...answer.reasons, ...few] };
  }

  #decide(threshold) {
    if (threshold === null || this.#scores.length < LEAST) return null;
    const before = this.#verdict;
    let score = scoreOf(this.#scores);
    const full = this.#scores.length === WINDOW;
    const clear = score >= threshold + MARGIN * (1 - threshold);
    const inARow = Math.min(...this.#scores.slice(-LEAST)) >= threshold;
    if (before?.label === "attack" && !(inARow && clear && full)) score = Math.min(score, before.score);
    const decides = before || score < threshold || (inARow && (clear || full));
    return decides ? { label: score >= threshold ? "bona_fide" : "attack", score } : null;
  }
}

/** The lowest of mean, median, and the highest score of the lowest run. */
function scoreOf(scores) {
  const ascending = [...scores].sort((a, b) => a - b);
  const mean = scores.reduce((sum, score) => sum + score / scores.length, 0);
  const runs = scores.slice(LEAST - 1).map((_, start) => Math.max(...scores.slice(start, start + LEAST)));
  return Math.min(mean, ascending[Math.floor((scores.length - 1) / 2)], ...runs);
}
