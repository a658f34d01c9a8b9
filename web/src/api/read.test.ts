import { describe, expect, test } from 'vitest';
import * as read from './read';

describe('who asks', () => {
  test('is nobody, anybody, a user, or the first one of all', () => {
    expect(read.who({ kind: 'nobody', setup_needed: false })).toBe('nobody');
    expect(read.who({ kind: 'nobody', setup_needed: true })).toBe('first-run');
    expect(read.who({ kind: 'user', name: 'ann', role: 'operator', csrf: 'c', setup_needed: false })).toEqual({ anonymous: false, name: 'ann', role: 'operator', csrf: 'c' });
    expect(read.who({ kind: 'anonymous', role: 'viewer', setup_needed: false })).toMatchObject({ anonymous: true, role: 'viewer' });
  });

  test('has the least role where the vault says one that is not known', () => {
    expect(read.who({ kind: 'user', name: 'x', role: 'emperor' })).toMatchObject({ role: 'viewer' });
  });
});

test('a list is read whatever its field is called, with where it goes on', () => {
  expect(read.page({ events: [{ id: 'e' }], next: 'e' }, read.event)).toMatchObject({ items: [{ id: 'e', locked: false }], next: 'e' });
  expect(read.page({ users: [] }, read.user)).toEqual({ items: [] });
  expect(read.page(null, read.user)).toEqual({ items: [] });
});

test('a device without status, cameras or signs of life is shown all the same', () => {
  expect(read.device({ id: 'bus', created: 5, online: false, cameras: [] })).toEqual({ id: 'bus', created: 5, online: false, cameras: [], revoked: false });
  expect(read.device({ id: 'bus', revoked: 7, status: null, cameras: ['front'] })).toMatchObject({ revoked: true, cameras: [{ name: 'front', live: false }] });
});

test('a job tells how far it is, and why it failed', () => {
  expect(read.clip({ id: 'c', state: 'running', progress: { phase: 'cutting', fraction: 0.25 }, from: 1, to: 2 })).toMatchObject({ state: 'running', progress: 0.25 });
  expect(read.clip({ id: 'c', state: 'finished', summary: { covered_ms: 900, missing: [{ from: 5, to: 25 }] } })).toMatchObject({ state: 'done', progress: 1, covered_ms: 900, missing_ms: 20 });
  expect(read.clip({ id: 'c', state: 'failed', problem: { code: 'no-footage', detail: 'nothing is here' } })).toMatchObject({ state: 'failed', error: 'nothing is here' });
  expect(read.importJob({ id: 'i', state: 'duplicate', filename: 'a.mp4', progress: 1 })).toMatchObject({ state: 'done', duplicate: true });
  expect(read.importJob({ id: 'i', state: 'failed', error: { code: 'no-video', detail: 'no picture' } })).toMatchObject({ error: 'no picture' });
});

test('a span of a state that is not known yet is not called footage', () => {
  expect(read.timelines({ cameras: [{ camera: 'front', spans: [{ from: 1, to: 2, state: 'dreamt' }] }] })).toEqual([{ camera: 'front', spans: [{ from: 1, to: 2, state: 'not_recorded' }] }]);
});
