// One's own password.
import { createSignal, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import { entered, session } from '../session';
import { zone } from '../format';
import { Field, ProblemNote } from '../ui/parts';
import { toast } from '../ui/toast';

const Account: Component = () => {
  const [current, setCurrent] = createSignal('');
  const [fresh, setFresh] = createSignal('');
  const [problem, setProblem] = createSignal<Problem>();
  const send = async (event: Event) => {
    event.preventDefault();
    setProblem(undefined);
    try {
      entered(await api.changePassword({ current: current(), new: fresh() }));
      setCurrent('');
      setFresh('');
      toast('Password changed', 'Your other sessions are signed out.');
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <section class="card stack narrow">
      <p>You are <strong>{session()?.name}</strong>, {session()?.role}. Times are shown in {zone()}.</p>
      <Show when={!session()?.anonymous}>
        <form class="stack" onSubmit={send}>
          <h2>Change your password</h2>
          <input type="text" autocomplete="username" value={session()?.name ?? ''} readonly hidden />
          <Field label="Password so far"><input type="password" autocomplete="current-password" required value={current()} onInput={(event) => setCurrent(event.currentTarget.value)} /></Field>
          <Field label="New password" hint="At least 10 characters."><input type="password" autocomplete="new-password" minlength={10} required value={fresh()} onInput={(event) => setFresh(event.currentTarget.value)} /></Field>
          <ProblemNote problem={problem()} />
          <div class="row end"><button type="submit" class="button primary">Change</button></div>
        </form>
      </Show>
    </section>
  );
};

export default Account;
