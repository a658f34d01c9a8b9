// The answers to timeline questions that were asked before. Pure: what it holds, and whether that is still good.
import type { CameraTimeline } from '../api/types';
import { width, type Viewport } from './viewport';

const KEPT = 12;
const FRESH_MS = 60_000;
const NEAR_NOW_MS = 3_000;

interface Answer {
  range: Viewport;
  resolution: number;
  cameras: CameraTimeline[];
  readAt: number;
}

export class TimelineCache {
  #answers: Answer[] = [];

  add(range: Viewport, resolution: number, cameras: CameraTimeline[], now: number): void {
    this.#answers.unshift({ range, resolution, cameras, readAt: now });
    this.#answers.length = Math.min(this.#answers.length, KEPT);
  }

  /** The best that is known for a view, however old; undefined where no answer touches it. */
  shown(view: Viewport): CameraTimeline[] | undefined {
    const touching = this.#answers.filter(({ range }) => range.from < view.to && range.to > view.from);
    const missing = ({ range }: Answer) => Math.max(0, range.from - view.from) + Math.max(0, view.to - range.to);
    return touching.reduce<Answer | undefined>((best, one) => (best && missing(best) <= missing(one) ? best : one), undefined)?.cameras;
  }

  /** Whether a view must be asked for: not known finely enough, or what was known may have changed. */
  stale(view: Viewport, resolution: number, now: number): boolean {
    return !this.#answers.some((answer) => {
      const { range } = answer;
      if (range.from > view.from || range.to < Math.min(view.to, answer.readAt)) return false;
      if (answer.resolution > resolution * 2) return false;
      const changes = view.to > answer.readAt - 90_000 || answer.cameras.some(({ spans }) => spans.some((span) => span.state === 'on_vehicle' && span.to > view.from && span.from < view.to));
      return now - answer.readAt < (changes ? NEAR_NOW_MS : FRESH_MS);
    });
  }

  forget(): void {
    this.#answers = [];
  }
}

/** What to ask for so that a view can be moved a little without asking again. */
export function question(view: Viewport, pixels: number): { range: Viewport; resolution: number } {
  const margin = width(view);
  const resolution = Math.max(1, Math.floor(width(view) / Math.max(pixels, 1) / 2));
  return { range: { from: Math.floor(view.from - margin), to: Math.ceil(view.to + margin) }, resolution };
}
