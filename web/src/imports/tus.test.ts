import { describe, expect, test } from 'vitest';
import { Problem, unreachable } from '../api/problem';
import { metadataHeader, upload, type Answer, type Send } from './tus';

/** A tus server in memory whose link can die after any number of bytes. */
class Server {
  received = new Uint8Array();
  length = -1;
  metadata = '';
  creations = 0;
  gone = false;
  /** Called before each request; throws or answers to misbehave. */
  trouble: (method: string) => Answer | undefined = () => undefined;
  /** Of the next piece, how many bytes get through before the link dies. */
  cut: number | undefined;

  readonly send: Send = async (method, url, headers, body) => {
    const odd = this.trouble(method);
    if (odd) return odd;
    if (method === 'POST') {
      [this.length, this.metadata, this.gone] = [Number(headers['Upload-Length']), headers['Upload-Metadata'] ?? '', false];
      this.received = new Uint8Array();
      this.creations += 1;
      return answer(201, { Location: `/uploads/${this.creations}` });
    }
    if (this.gone || url !== `/uploads/${this.creations}`) return answer(404);
    if (method === 'HEAD') return answer(200, { 'Upload-Offset': String(this.received.length) });
    if (Number(headers['Upload-Offset']) !== this.received.length) return answer(409);
    const bytes = new Uint8Array(await (body as Blob).arrayBuffer());
    const taken = this.cut === undefined ? bytes : bytes.slice(0, this.cut);
    this.received = Uint8Array.from([...this.received, ...taken]);
    if (this.cut !== undefined) {
      this.cut = undefined;
      throw unreachable();
    }
    return answer(204, { 'Upload-Offset': String(this.received.length) });
  };
}

function answer(status: number, headers: Record<string, string> = {}): Answer {
  return { status, header: (name) => headers[name] ?? null, text: () => Promise.resolve('') };
}

const PIECE_BYTES = 4096;
const bytes = Uint8Array.from({ length: PIECE_BYTES * 2 + 1234 }, (_, index) => (index * 31) % 251);

function task(server: Server, more: Partial<Parameters<typeof upload>[0]> = {}) {
  const progress: number[] = [];
  const remembered: (string | undefined)[] = [];
  const all = {
    endpoint: '/uploads', file: new Blob([bytes]), pieceBytes: PIECE_BYTES, metadata: { filename: 'a.mp4' }, send: server.send,
    remember: (url: string | undefined) => remembered.push(url), progress: (sent: number) => progress.push(sent),
    signal: new AbortController().signal, pause: () => Promise.resolve(), ...more,
  };
  return { all, progress, remembered };
}

describe('an upload', () => {
  test('arrives byte for byte, in pieces, and is forgotten when it is done', async () => {
    const server = new Server();
    const { all, progress, remembered } = task(server);
    await upload(all);
    expect(server.received).toEqual(bytes);
    expect(progress).toEqual([0, PIECE_BYTES, PIECE_BYTES * 2, bytes.length]);
    expect(remembered).toEqual(['/uploads/1', undefined]);
  });

  test('goes on at the byte after the link died in the middle of a piece', async () => {
    const server = new Server();
    server.cut = 1000;
    const { all } = task(server);
    await upload(all);
    expect(server.received).toEqual(bytes);
    expect(server.creations).toBe(1);
  });

  test('goes on where an earlier try of the same file got to', async () => {
    const server = new Server();
    [server.creations, server.received] = [1, bytes.slice(0, 5000)];
    const { all, progress } = task(server, { known: '/uploads/1' });
    await upload(all);
    expect(progress[0]).toBe(5000);
    expect(server.received).toEqual(bytes);
  });

  test('begins again when the vault has forgotten it', async () => {
    const server = new Server();
    const { all } = task(server, { known: '/uploads/9' });
    await upload(all);
    expect(server.creations).toBe(1);
    expect(server.received).toEqual(bytes);
  });

  test('outlasts a vault that is away, and ends at a refusal', async () => {
    const server = new Server();
    let times = 0;
    server.trouble = () => {
      times += 1;
      if (times < 5) throw unreachable();
      return undefined;
    };
    await upload(task(server).all);
    expect(server.received).toEqual(bytes);
    server.trouble = () => answer(403);
    await expect(upload(task(server).all)).rejects.toBeInstanceOf(Problem);
  });

  test('ends when it is aborted', async () => {
    const server = new Server();
    const abort = new AbortController();
    const { all } = task(server, { signal: abort.signal, progress: (sent) => sent > 0 && abort.abort() });
    await expect(upload(all)).rejects.toThrow();
    expect(server.received.length).toBeLessThan(bytes.length);
  });
});

test('metadata is base64 of UTF-8', () => {
  expect(metadataHeader({ filename: 'Unfall Köln.mp4', at: '5' })).toBe('filename VW5mYWxsIEvDtmxuLm1wNA==,at NQ==');
});
