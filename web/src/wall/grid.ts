// Which tiles of a long grid are on the screen. Pure.

export interface Grid {
  columns: number;
  tileWidth: number;
  rowHeight: number;
  height: number;
}

export const GUTTER = 14;
const CAPTION = 44;

export function grid(count: number, width: number, wanted: number): Grid {
  const columns = Math.max(1, Math.min(Math.floor((width + GUTTER) / (wanted + GUTTER)), Math.max(count, 1), 12));
  // Few tiles do not become huge.
  const tileWidth = Math.min((width - GUTTER * (columns - 1)) / columns, Math.max(wanted * 1.6, 640));
  const rowHeight = Math.round((tileWidth * 9) / 16) + CAPTION + GUTTER;
  return { columns, tileWidth, rowHeight, height: Math.ceil(count / columns) * rowHeight };
}

/** The tiles to keep in the page: those in view and a row on each side. */
export function visible(layout: Grid, count: number, top: number, viewHeight: number): { first: number; end: number } {
  const firstRow = Math.max(0, Math.floor(top / layout.rowHeight) - 1);
  const endRow = Math.ceil((top + viewHeight) / layout.rowHeight) + 1;
  return { first: Math.min(firstRow * layout.columns, count), end: Math.max(0, Math.min(endRow * layout.columns, count)) };
}

/** Which of the tiles in view play: the first of those that can, in the order of the page. */
export function players(inView: readonly { key: string; live: boolean }[], most: number): Set<string> {
  return new Set(inView.filter((tile) => tile.live).slice(0, most).map((tile) => tile.key));
}
