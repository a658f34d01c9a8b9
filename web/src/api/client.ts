// One request to the vault: JSON in and out, the CSRF token, problems, and whether the vault answers at all.
import { createSignal } from 'solid-js';
import { Problem, problemOf, unreachable } from './problem';

export type Query = Record<string, string | number | boolean | undefined>;

export interface Options {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** An answer 401 is this request's own matter (sign-in) and does not end the session. */
  quiet401?: boolean;
}

let csrfToken = '';
let whenSignedOut: () => void = () => {};
const [awaySince, setAwaySince] = createSignal<number>();

/** Since when the vault has not answered; undefined while it does. */
export { awaySince };

export function useCsrfToken(token: string): void {
  csrfToken = token;
}

export function csrfHeader(): Record<string, string> {
  return csrfToken === '' ? {} : { 'X-CSRF-Token': csrfToken };
}

export function onSignedOut(handler: () => void): void {
  whenSignedOut = handler;
}

/** An address with its query; what is undefined is left out. */
export function address(path: string, query: Query = {}): string {
  const words = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(words.map(([name, value]) => [name, String(value)])).toString();
  return search === '' ? path : `${path}?${search}`;
}

/** A path from words that may hold anything. */
export function pathOf(...words: string[]): string {
  return `/${words.map(encodeURIComponent).join('/')}`;
}

export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** Like [`request`], with the answer itself: for headers. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const changes = method !== 'GET' && method !== 'HEAD';
  const raw = options.body instanceof Blob;
  const headers: Record<string, string> = { ...(changes ? csrfHeader() : {}), ...options.headers };
  if (options.body !== undefined && !raw) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      ...(options.body !== undefined && { body: raw ? (options.body as Blob) : JSON.stringify(options.body) }),
      ...(options.signal && { signal: options.signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    setAwaySince((since) => since ?? Date.now());
    throw unreachable();
  }
  if (response.ok) {
    setAwaySince(undefined);
    return response;
  }
  const problem = problemOf(response.status, response.headers.get('content-type') ?? '', await response.text().catch(() => ''));
  if (problem.away) setAwaySince((since) => since ?? Date.now());
  else setAwaySince(undefined);
  if (problem.status === 401 && options.quiet401 !== true) whenSignedOut();
  throw problem;
}

export function isProblem(thrown: unknown): thrown is Problem {
  return thrown instanceof Problem;
}
