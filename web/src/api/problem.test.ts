import { describe, expect, test } from 'vitest';
import { asProblem, Problem, problemOf } from './problem';

describe('a refused answer', () => {
  test('shows the title and the detail of the problem', () => {
    const body = JSON.stringify({ type: 'urn:dashvault:problem:forbidden', title: 'not allowed', status: 403, detail: 'this needs the role admin' });
    const problem = problemOf(403, 'application/problem+json', body);
    expect(problem.title).toBe('Not allowed');
    expect(problem.detail).toBe('This needs the role admin');
    expect(problem.code).toBe('forbidden');
  });

  test('of a proxy is still a sentence', () => {
    const problem = problemOf(502, 'text/html', '<h1>Bad Gateway</h1>');
    expect(problem.title).toBe('The vault cannot do this now');
    expect(problem.away).toBe(true);
  });

  test('with broken or odd JSON does not throw', () => {
    for (const body of ['{', '[]', 'null', '{"title":7}', '""']) {
      expect(problemOf(404, 'application/json', body).title).toBe('Not found');
    }
  });
});

test('whatever is thrown can be shown', () => {
  expect(asProblem(new TypeError('x is undefined')).detail).toBe('x is undefined');
  const problem = new Problem(404, 'not-found', 'Not found', '');
  expect(asProblem(problem)).toBe(problem);
  expect(asProblem(undefined).detail).toBe('undefined');
});
