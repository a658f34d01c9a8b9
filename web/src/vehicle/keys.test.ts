import { expect, test } from 'vitest';
import { actionOf, KEYS } from './keys';

const key = (name: string, with_: Partial<Record<'shiftKey' | 'ctrlKey', boolean>> = {}) =>
  actionOf({ key: name, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...with_ });

test('every key that the help shows does what it says', () => {
  const typed: Record<string, string> = { Space: ' ', '←': 'ArrowLeft', '→': 'ArrowRight', '−': '-', '1 … 9': '1' };
  for (const [shown, , action] of KEYS) {
    const shift = shown.startsWith('Shift ');
    const name = shown.replace('Shift ', '');
    expect(key(typed[name] ?? name, { shiftKey: shift })).toBe(action);
  }
});

test('what belongs to the browser is left to it', () => {
  expect(key('p', { ctrlKey: true })).toBeUndefined();
  expect(key('Tab')).toBeUndefined();
  expect(key('7')).toBe('camera-7');
  expect(key('0')).toBeUndefined();
});
