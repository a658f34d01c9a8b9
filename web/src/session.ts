// Who is signed in, and what they may do.
import { createSignal } from 'solid-js';
import { onSignedOut, useCsrfToken } from './api/client';
import * as api from './api';
import type { Role, Session } from './api/types';

export type Standing =
  | { kind: 'unknown' }
  | { kind: 'first-run' }
  | { kind: 'signed-out' }
  | { kind: 'signed-in'; session: Session };

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };
const [standing, setStanding] = createSignal<Standing>({ kind: 'unknown' });

export { standing };

export function session(): Session | undefined {
  const now = standing();
  return now.kind === 'signed-in' ? now.session : undefined;
}

/** Whether who is signed in has this role, or one that includes it. */
export function may(role: Role): boolean {
  const own = session()?.role;
  return own !== undefined && RANK[own] >= RANK[role];
}

export function entered(who: api.Who): void {
  if (who === 'nobody') setStanding({ kind: 'signed-out' });
  else if (who === 'first-run') setStanding({ kind: 'first-run' });
  else {
    useCsrfToken(who.csrf ?? '');
    setStanding({ kind: 'signed-in', session: who });
  }
}

/** Finds out who is here; throws where the vault does not answer. */
export async function recall(): Promise<void> {
  entered(await api.whoAmI());
}

/** Shows the sign-in to somebody who watches without a name. */
export function askForName(): void {
  setStanding({ kind: 'signed-out' });
}

export async function leave(): Promise<void> {
  await api.signOut();
  useCsrfToken('');
  setStanding({ kind: 'signed-out' });
}

onSignedOut(() => {
  useCsrfToken('');
  setStanding((now) => (now.kind === 'signed-in' ? { kind: 'signed-out' } : now));
});
