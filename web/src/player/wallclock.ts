// Media time to wall time and back, by the EXT-X-PROGRAM-DATE-TIME of a playlist's segments. Pure.

export interface Piece {
  /** Media seconds. */
  start: number;
  duration: number;
  /** Wall time of its first frame, Unix milliseconds. */
  programDateTime: number | null;
  gap?: boolean | undefined;
}

/** The wall time of a media time; undefined outside of all segments with a time. */
export function wallAt(pieces: readonly Piece[], seconds: number): number | undefined {
  const piece = lastStarting(pieces, seconds + 0.001);
  if (piece?.programDateTime == null || seconds > piece.start + piece.duration + 0.5) return undefined;
  return piece.programDateTime + (seconds - piece.start) * 1000;
}

export interface Place {
  /** Media seconds. */
  seconds: number;
  /** Where that is in wall time: later than asked for where there is no footage. */
  wall: number;
}

/** The media time of a wall time, or of the first footage after it; undefined where there is none. */
export function placeOf(pieces: readonly Piece[], wall: number): Place | undefined {
  for (const piece of pieces) {
    if (piece.programDateTime === null || piece.gap === true) continue;
    const end = piece.programDateTime + piece.duration * 1000;
    if (end <= wall) continue;
    const at = Math.max(wall, piece.programDateTime);
    return { seconds: piece.start + (at - piece.programDateTime) / 1000, wall: at };
  }
  return undefined;
}

/** The wall time of the first and after the last footage. */
export function extent(pieces: readonly Piece[]): { from: number; to: number } | undefined {
  const timed = pieces.filter((piece) => piece.programDateTime !== null && piece.gap !== true);
  const [first, last] = [timed[0], timed.at(-1)];
  if (first?.programDateTime == null || last?.programDateTime == null) return undefined;
  return { from: first.programDateTime, to: last.programDateTime + last.duration * 1000 };
}

function lastStarting(pieces: readonly Piece[], seconds: number): Piece | undefined {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle]?.start ?? Infinity) <= seconds) low = middle + 1;
    else high = middle;
  }
  return pieces[low - 1];
}

const WINDOW_MS = 3_600_000;
const LEAD_MS = 300_000;

/** The stretch of time whose playlist is loaded to play `wall`: some before it, for steps back, and the rest of an hour. */
export function windowFor(wall: number, now: number): { from: number; to: number } {
  const from = Math.floor((wall - LEAD_MS) / 60_000) * 60_000;
  return { from, to: Math.min(from + WINDOW_MS, Math.max(Math.ceil(now), wall + 1000)) };
}

/** The speed of a live picture that is `over` seconds further behind than it could be, with `ahead` seconds in hand. */
export function hastened(over: number, ahead: number): number {
  if (over < 0.06 || ahead < 0.5) return 1;
  return Math.min(1.25, Math.round((1.05 + over * 0.2) * 20) / 20);
}

export interface Nudge {
  /** Factor of the speed. */
  rate: number;
  /** Where to jump to instead, in wall time. */
  jump?: number;
}

/** How a camera follows the one that leads: by its speed when it is near, by a jump when it is not. */
export function follow(lead: number, own: number): Nudge {
  const ahead = own - lead;
  if (Math.abs(ahead) < 60) return { rate: 1 };
  if (Math.abs(ahead) < 800) return { rate: ahead > 0 ? 0.95 : 1.05 };
  return { rate: 1, jump: lead };
}
