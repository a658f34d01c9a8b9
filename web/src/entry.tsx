// The two screens before anybody is signed in: making the first administrator, and signing in.
import { createSignal, Show, type Component, type JSX } from 'solid-js';
import * as api from './api';
import { asProblem, type Problem } from './api/problem';
import { entered, recall } from './session';
import { Field, ProblemNote } from './ui/parts';
import { place } from './router';

const Card: Component<{ title: string; lead: string; children: JSX.Element }> = (props) => (
  <main class="entry" tabindex="-1">
    <div class="entry-card">
      <div class="entry-brand"><img src="/icon.svg" alt="" width="40" height="40" /><span>Dashvault</span></div>
      <h1>{props.title}</h1>
      <p class="muted">{props.lead}</p>
      {props.children}
    </div>
  </main>
);

/** Sends a form once at a time and keeps why it was refused. */
function createEntry(send: () => Promise<api.Who>) {
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<Problem>();
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy()) return;
    setBusy(true);
    setProblem(undefined);
    try {
      entered(await send());
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, submit, setProblem };
}

export const SignIn: Component = () => {
  const [name, setName] = createSignal('');
  const [password, setPassword] = createSignal('');
  const entry = createEntry(() => api.signIn({ name: name().trim(), password: password() }));
  return (
    <Card title="Sign in" lead="To see your vehicles, now and at any past second.">
      <form onSubmit={entry.submit}>
        <Field label="Name"><input name="name" autocomplete="username" autocapitalize="none" required autofocus value={name()} onInput={(event) => setName(event.currentTarget.value)} /></Field>
        <Field label="Password"><input name="password" type="password" autocomplete="current-password" required value={password()} onInput={(event) => setPassword(event.currentTarget.value)} /></Field>
        <ProblemNote problem={entry.problem()} />
        <button type="submit" class="button primary wide" disabled={entry.busy()}>Sign in</button>
      </form>
    </Card>
  );
};

export const FirstRun: Component = () => {
  const given = place().query.get('code') ?? '';
  const [code, setCode] = createSignal(given);
  const [name, setName] = createSignal('admin');
  const [password, setPassword] = createSignal('');
  const [again, setAgain] = createSignal('');
  const entry = createEntry(async () => {
    const made = await api.setUp({ code: code().trim(), name: name().trim(), password: password() });
    history.replaceState(null, '', '/');
    return made === 'nobody' ? api.signIn({ name: name().trim(), password: password() }) : made;
  });
  const differs = () => again() !== '' && again() !== password();
  return (
    <Card title="Welcome" lead="This vault has no users yet. Make its first administrator; you can add others later.">
      <form onSubmit={(event) => { if (differs()) event.preventDefault(); else void entry.submit(event); }}>
        <Field label="Setup code" hint="The vault printed it when it started; it is also in the file setup.code in its data folder. It proves that this is your server.">
          <input name="code" autocomplete="off" autocapitalize="none" spellcheck={false} required value={code()} onInput={(event) => setCode(event.currentTarget.value)} />
        </Field>
        <Field label="Name"><input name="name" autocomplete="username" autocapitalize="none" required value={name()} onInput={(event) => setName(event.currentTarget.value)} /></Field>
        <Field label="Password" hint="At least 10 characters."><input name="password" type="password" autocomplete="new-password" minlength={10} required value={password()} onInput={(event) => setPassword(event.currentTarget.value)} /></Field>
        <Field label="Password again" error={differs() ? 'The two are not the same.' : undefined}>
          <input name="again" type="password" autocomplete="new-password" required value={again()} onInput={(event) => setAgain(event.currentTarget.value)} />
        </Field>
        <ProblemNote problem={entry.problem()} />
        <Show when={entry.problem()?.status === 409}>
          <button type="button" class="button wide" onClick={() => void recall()}>Go to sign-in</button>
        </Show>
        <button type="submit" class="button primary wide" disabled={entry.busy()}>Make the administrator</button>
      </form>
    </Card>
  );
};
