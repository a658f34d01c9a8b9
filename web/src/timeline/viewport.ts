// Which stretch of time is in view, and where its marks are. Pure: milliseconds and pixels in, numbers out.

export interface Viewport {
  /** Unix milliseconds, half open. */
  from: number;
  to: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const NARROWEST = 20 * SECOND;
export const WIDEST = 31 * DAY;

export function width(view: Viewport): number {
  return view.to - view.from;
}

/** Where an instant is drawn. */
export function xOf(view: Viewport, at: number, pixels: number): number {
  return ((at - view.from) / width(view)) * pixels;
}

/** Which instant is drawn there. */
export function atX(view: Viewport, x: number, pixels: number): number {
  return view.from + (x / pixels) * width(view);
}

/** Keeps a view within the allowed widths, and no later than a little after `latest`. */
export function bounded(view: Viewport, latest: number): Viewport {
  const wide = Math.min(Math.max(width(view), NARROWEST), WIDEST);
  const middle = (view.from + view.to) / 2;
  const to = Math.min(middle + wide / 2, latest + wide * 0.08);
  return { from: Math.round(to - wide), to: Math.round(to) };
}

/** Makes what is in view `factor` times as wide; `anchor` stays where it is. */
export function zoomed(view: Viewport, factor: number, anchor: number, latest: number): Viewport {
  const wide = Math.min(Math.max(width(view) * factor, NARROWEST), WIDEST);
  const share = (anchor - view.from) / width(view);
  const from = anchor - share * wide;
  return bounded({ from, to: from + wide }, latest);
}

export function panned(view: Viewport, byMs: number, latest: number): Viewport {
  return bounded({ from: view.from + byMs, to: view.to + byMs }, latest);
}

/** Moves the view, if it must, so that `at` is in it with some room to both sides. */
export function following(view: Viewport, at: number, latest: number): Viewport {
  const room = width(view) * 0.04;
  if (at >= view.from + room && at <= view.to - room) return view;
  const share = at > view.to - room && at < view.to + width(view) ? 0.2 : 0.5;
  return bounded({ from: at - share * width(view), to: at + (1 - share) * width(view) }, latest);
}

export interface Tick {
  at: number;
  label: string;
  /** A day begins, or another mark that stands out. */
  strong: boolean;
}

const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
];

/** The distance of marks that leaves each at least `least` pixels. */
export function stepFor(view: Viewport, pixels: number, least: number): number {
  const wanted = (width(view) / Math.max(pixels, 1)) * least;
  return STEPS.find((step) => step >= wanted) ?? 7 * DAY;
}

const two = (value: number) => String(value).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The marks in view, at round local times: clocks that change are followed. */
export function ticks(view: Viewport, pixels: number, least = 84): Tick[] {
  const step = stepFor(view, pixels, least);
  const marks: Tick[] = [];
  let date = new Date(view.from);
  date.setHours(0, 0, 0, 0);
  while (date.getTime() < view.to && marks.length < 500) {
    const start = date.getTime();
    const next = new Date(date);
    next.setDate(next.getDate() + 1);
    const end = next.getTime();
    if (step >= DAY) {
      const days = Math.round(step / DAY);
      const number = Math.round((start - date.getTimezoneOffset() * MINUTE) / DAY);
      if (number % days === 0 && start >= view.from) marks.push(dayTick(date));
    } else {
      const first = view.from > start ? start + Math.ceil((view.from - start) / step) * step : start;
      for (let at = first; at < Math.min(end, view.to); at += step) {
        marks.push(at === start ? dayTick(date) : timeTick(at, step));
      }
    }
    date = next;
  }
  return marks;
}

function dayTick(date: Date): Tick {
  return { at: date.getTime(), label: `${date.getDate()} ${MONTHS[date.getMonth()] ?? ''}`, strong: true };
}

function timeTick(at: number, step: number): Tick {
  const date = new Date(at);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return { at, label: step < MINUTE ? `${time}:${two(date.getSeconds())}` : time, strong: step < MINUTE && date.getSeconds() === 0 };
}
