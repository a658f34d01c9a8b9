// A refusal of the vault (RFC 9457), or a request that never got an answer: what to show, and what to do about it.

export class Problem extends Error {
  constructor(
    /** The HTTP status; 0 where nothing answered. */
    readonly status: number,
    /** The stable name of the reason, such as `forbidden`. */
    readonly code: string,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail === '' ? title : `${title}: ${detail}`);
    this.name = 'Problem';
  }

  /** The vault cannot be reached or is busy: the same request may succeed soon. */
  get away(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

const UNREACHABLE = 'It may be restarting, or the network is down. This page goes on by itself when it is back.';

/** What a request that failed below HTTP means. */
export function unreachable(): Problem {
  return new Problem(0, 'unreachable', 'The vault does not answer', UNREACHABLE);
}

/** Reads the body of a refused answer, whatever it is: a proxy on the way answers in HTML. */
export function problemOf(status: number, contentType: string, body: string): Problem {
  const words = contentType.includes('json') ? fields(body) : {};
  const title = words.title ?? defaultTitle(status);
  return new Problem(status, words.code ?? String(status), sentence(title), sentence(words.detail ?? ''));
}

/** Anything thrown, as a problem that can be shown. */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new Problem(-1, 'dashboard', 'The dashboard made a mistake', detail);
}

function fields(body: string): { title?: string; detail?: string; code?: string } {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null) return {};
    const read = (name: string) => {
      const field: unknown = Reflect.get(value, name);
      return typeof field === 'string' && field !== '' ? field : undefined;
    };
    const [title, detail] = [read('title'), read('detail')];
    const code = read('code') ?? read('type')?.split(/[/:]/).pop();
    return { ...(title && { title }), ...(detail && { detail }), ...(code && { code }) };
  } catch {
    return {};
  }
}

function defaultTitle(status: number): string {
  if (status === 401) return 'Sign in first';
  if (status === 403) return 'Not allowed';
  if (status === 404) return 'Not found';
  if (status === 413) return 'Too large';
  if (status === 429) return 'Too many requests';
  return status >= 500 ? 'The vault cannot do this now' : 'The request was refused';
}

function sentence(text: string): string {
  return text === '' ? '' : text.charAt(0).toUpperCase() + text.slice(1);
}
