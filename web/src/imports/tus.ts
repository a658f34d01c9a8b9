// A small tus 1.0 client: creation, resumption at the byte, progress, abort. It sends a file piece by piece, so that a cut
// costs at most one piece, and asks the vault where to go on after each failure.
import { csrfHeader } from '../api/client';
import { asProblem, Problem, problemOf, unreachable } from '../api/problem';

const PIECE_BYTES = 4 * 1024 * 1024;

export interface Answer {
  status: number;
  header: (name: string) => string | null;
  text: () => Promise<string>;
}

/** What sends one request: `fetch` here, anything in tests. */
export type Send = (method: string, url: string, headers: Record<string, string>, body?: Blob) => Promise<Answer>;

export interface Upload {
  endpoint: string;
  file: Blob;
  metadata: Record<string, string>;
  /** Where an earlier try of the same file got to, if there was one. */
  known?: string | undefined;
  remember: (url: string | undefined) => void;
  progress: (sent: number) => void;
  signal: AbortSignal;
  /** Bytes sent at a time. */
  pieceBytes?: number;
  send?: Send;
  /** Waits between tries; milliseconds. */
  pause?: (ms: number) => Promise<void>;
}

const VERSION = { 'Tus-Resumable': '1.0.0' };
const MOST_PAUSE_MS = 10_000;

/** Sends a whole file; resolves when the vault has its last byte. Goes on through outages until it is aborted or refused. */
export async function upload(task: Upload): Promise<string> {
  const send = task.send ?? byFetch(task.signal);
  const pause = task.pause ?? ((ms: number) => new Promise<void>((done) => setTimeout(done, ms)));
  let url = task.known;
  let offset: number | undefined;
  let failures = 0;
  for (;;) {
    task.signal.throwIfAborted();
    try {
      if (url === undefined) {
        url = await create(task, send);
        task.remember(url);
        offset = 0;
      }
      offset ??= await offsetOf(url, task.file.size, send);
      task.progress(offset);
      if (offset >= task.file.size) break;
      offset = await sendPiece(task, url, offset, send);
      failures = 0;
    } catch (error) {
      task.signal.throwIfAborted();
      const problem = asProblem(error);
      // The upload has expired or was ended: begin again. Taken over or at another byte: ask.
      const ended = problem.status === 404 || problem.status === 410;
      if (!ended && !problem.away && problem.status !== 409 && problem.status !== 408 && problem.status !== 429 && problem.status !== 423) throw problem;
      if (ended && (url === undefined || failures > 3)) throw problem;
      if (ended) url = undefined;
      offset = undefined;
      failures += 1;
      await pause(Math.min(500 * 2 ** failures, MOST_PAUSE_MS));
    }
  }
  task.remember(undefined);
  return url;
}

/** `Upload-Metadata` (tus 1.0, creation): names and base64 of UTF-8. */
export function metadataHeader(metadata: Record<string, string>): string {
  return Object.entries(metadata).map(([name, value]) => `${name} ${base64(value)}`).join(',');
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
}

async function create(task: Upload, send: Send): Promise<string> {
  const headers = { ...VERSION, 'Upload-Length': String(task.file.size), 'Upload-Metadata': metadataHeader(task.metadata) };
  const answer = await accepted(await send('POST', task.endpoint, headers));
  const location = answer.header('Location');
  if (location === null) throw new Problem(-1, 'tus', 'The upload could not begin', 'the answer has no Location');
  return location;
}

async function offsetOf(url: string, size: number, send: Send): Promise<number> {
  const answer = await accepted(await send('HEAD', url, VERSION));
  const offset = Number(answer.header('Upload-Offset'));
  if (!Number.isInteger(offset) || offset < 0 || offset > size) throw new Problem(410, 'tus', 'The upload is not the same file', '');
  return offset;
}

async function sendPiece(task: Upload, url: string, offset: number, send: Send): Promise<number> {
  const piece = task.file.slice(offset, offset + (task.pieceBytes ?? PIECE_BYTES));
  const headers = { ...VERSION, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' };
  const answer = await accepted(await send('PATCH', url, headers, piece));
  const next = Number(answer.header('Upload-Offset'));
  if (!Number.isInteger(next) || next <= offset) throw unreachable();
  return next;
}

async function accepted(answer: Answer): Promise<Answer> {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw problemOf(answer.status, answer.header('content-type') ?? '', await answer.text());
}

function byFetch(signal: AbortSignal): Send {
  return async (method, url, headers, body) => {
    const response = await fetch(url, {
      method,
      headers: { ...headers, ...csrfHeader() },
      credentials: 'same-origin',
      signal,
      ...(body && { body }),
    }).catch((error: unknown) => {
      throw error instanceof DOMException && error.name === 'AbortError' ? error : unreachable();
    });
    return { status: response.status, header: (name) => response.headers.get(name), text: () => response.text() };
  };
}
