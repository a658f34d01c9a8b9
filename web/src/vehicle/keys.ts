// Which key does what on the vehicle page. Pure but for the browser's event.

export type Action =
  | 'toggle' | 'slower' | 'faster' | 'back' | 'forth' | 'back-far' | 'forth-far' | 'frame-back' | 'frame-forth'
  | 'zoom-in' | 'zoom-out' | 'next-gap' | 'previous-gap' | 'next-event' | 'previous-event' | 'live' | 'mark' | 'clip'
  | 'clip-start' | 'clip-end' | 'mute' | 'full' | 'help' | `camera-${number}`;

export const KEYS: [string, string, Action][] = [
  ['Space', 'Play or pause', 'toggle'],
  ['K', 'Play or pause', 'toggle'],
  ['←', '5 seconds back', 'back'],
  ['→', '5 seconds on', 'forth'],
  ['Shift ←', '1 minute back', 'back-far'],
  ['Shift →', '1 minute on', 'forth-far'],
  ['J', 'Slower', 'slower'],
  ['L', 'Faster', 'faster'],
  [',', 'One frame back', 'frame-back'],
  ['.', 'One frame on', 'frame-forth'],
  ['+', 'Zoom in', 'zoom-in'],
  ['−', 'Zoom out', 'zoom-out'],
  ['N', 'Next gap', 'next-gap'],
  ['P', 'Previous gap', 'previous-gap'],
  ['E', 'Next event', 'next-event'],
  ['Shift E', 'Previous event', 'previous-event'],
  ['End', 'Live', 'live'],
  ['M', 'Mark and lock an event here', 'mark'],
  ['I', 'Start of a clip', 'clip-start'],
  ['O', 'End of a clip', 'clip-end'],
  ['C', 'Make a clip', 'clip'],
  ['S', 'Sound on or off', 'mute'],
  ['F', 'Full screen', 'full'],
  ['1 … 9', 'Camera', 'camera-1'],
  ['?', 'These keys', 'help'],
];

const PLAIN: Record<string, Action> = {
  ' ': 'toggle', k: 'toggle', j: 'slower', l: 'faster', ArrowLeft: 'back', ArrowRight: 'forth', ',': 'frame-back', '.': 'frame-forth',
  '+': 'zoom-in', '=': 'zoom-in', '-': 'zoom-out', '−': 'zoom-out', n: 'next-gap', p: 'previous-gap', e: 'next-event', End: 'live',
  m: 'mark', c: 'clip', i: 'clip-start', o: 'clip-end', s: 'mute', f: 'full', '?': 'help',
};

interface Key {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** What a key asks for; nothing where it belongs to the browser. */
export function actionOf(event: Key): Action | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.shiftKey) {
    if (key === 'ArrowLeft') return 'back-far';
    if (key === 'ArrowRight') return 'forth-far';
    if (key === 'e') return 'previous-event';
  }
  if (/^[1-9]$/.test(key)) return `camera-${Number(key)}`;
  return PLAIN[key];
}

/** Whether keys belong to what has the focus: a field, a dialog, a button that space presses. */
export function takesKeys(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('dialog, input:not([type=checkbox]), textarea, select, [contenteditable]')) return true;
  return (key === ' ' || key === 'Enter') && target.closest('button, a, summary') !== null;
}
