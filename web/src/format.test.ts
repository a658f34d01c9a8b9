import { describe, expect, test } from 'vitest';
import { ago, bytes, clock, duration, fromInput, inputMoment, moment, rate } from './format';

test('a duration has its two largest units', () => {
  expect(duration(250)).toBe('250 ms');
  expect(duration(12_000)).toBe('12 s');
  expect(duration(3_600_000)).toBe('1 h');
  expect(duration(7_500_000)).toBe('2 h 5 min');
  expect(duration(3_605_000)).toBe('1 h');
  expect(duration(90_061_000)).toBe('1 d 1 h');
  expect(duration(59_999)).toBe('1 min');
});

test('the past is told in one unit', () => {
  expect(ago(1000, 2500)).toBe('now');
  expect(ago(0, 59_000)).toBe('59 s ago');
  expect(ago(0, 3 * 86_400_000 + 5)).toBe('3 d ago');
  expect(ago(10_000, 0)).toBe('now');
});

test('sizes never show four digits', () => {
  expect(bytes(0)).toBe('0 B');
  expect(bytes(999)).toBe('999 B');
  expect(bytes(999_600)).toBe('1.0 MB');
  expect(bytes(1_234_567_890)).toBe('1.2 GB');
  expect(bytes(123_456_789)).toBe('123 MB');
  expect(rate(512_000)).toBe('4.1 Mbit/s');
});

describe('times in the local zone', () => {
  const at = new Date(2026, 10, 22, 4, 3, 9).getTime();
  test('are padded', () => {
    expect(clock(at)).toBe('04:03:09');
    expect(moment(at)).toBe('2026-11-22 04:03:09');
  });
  test('come back from an input as they were', () => {
    expect(fromInput(inputMoment(at))).toBe(at);
    expect(fromInput('nonsense')).toBeUndefined();
  });
});
