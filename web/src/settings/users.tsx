// Who may sign in, and as what.
import { createSignal, For, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { Role, User } from '../api/types';
import { ago } from '../format';
import { createPoll } from '../poll';
import { session } from '../session';
import { Icon } from '../ui/icons';
import { Dialog, Field, IconButton, ProblemNote, Spinner } from '../ui/parts';
import { toast, toastProblem } from '../ui/toast';

export const ROLES: [Role, string][] = [
  ['viewer', 'Viewer: watches'],
  ['operator', 'Operator: also makes clips, marks, locks, imports'],
  ['admin', 'Administrator: everything'],
];

const Users: Component = () => {
  const list = createPoll(() => api.users(), 15_000);
  const [dialog, setDialog] = createSignal<'new' | User>();
  const done = (what: string) => {
    setDialog(undefined);
    toast(what);
    void list.refresh();
  };
  const change = (user: User, role: Role) => api.changeUser(user.name, { role }).then(() => done(`${user.name} is ${role} now`), (error: unknown) => { toastProblem(error); void list.refresh(); });
  return (
    <section class="stack">
      <div class="row"><button type="button" class="button primary" onClick={() => setDialog('new')}><Icon name="plus" />Add a user</button></div>
      <Show when={list.data()} fallback={<Show when={list.problem()} fallback={<Spinner />}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        <div class="table-box cards"><table>
          <thead><tr><th>Name</th><th>Role</th><th>Signed in</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody><For each={list.data()}>{(user) => (
            <tr>
              <td data-label="Name"><span><strong>{user.name}</strong>{user.name === session()?.name ? ' (you)' : ''}</span></td>
              <td data-label="Role"><select class="input slim" aria-label={`Role of ${user.name}`} value={user.role} onChange={(event) => void change(user, event.currentTarget.value as Role)}><For each={ROLES}>{([role]) => <option value={role}>{role}</option>}</For></select></td>
              <td data-label="Signed in">{user.signed_in === undefined ? 'never' : ago(user.signed_in, Date.now())}</td>
              <td class="actions"><button type="button" class="button small" onClick={() => setDialog(user)}>New password</button>
                <IconButton icon="trash" label={`Remove ${user.name}`} disabled={user.name === session()?.name} onClick={() => api.removeUser(user.name).then(() => done(`${user.name} is removed`), toastProblem)} /></td>
            </tr>
          )}</For></tbody>
        </table></div>
      </Show>
      <Show when={dialog()}>{(of) => <UserDialog of={of()} close={() => setDialog(undefined)} done={done} />}</Show>
    </section>
  );
};

const UserDialog: Component<{ of: 'new' | User; close: () => void; done: (what: string) => void }> = (props) => {
  const [name, setName] = createSignal('');
  const [password, setPassword] = createSignal('');
  const [role, setRole] = createSignal<Role>('viewer');
  const [problem, setProblem] = createSignal<Problem>();
  const send = (event: Event) => {
    event.preventDefault();
    const of = props.of;
    const work = of === 'new' ? api.addUser({ name: name().trim(), password: password(), role: role() }) : api.changeUser(of.name, { password: password() });
    work.then(() => props.done(of === 'new' ? `${name()} can sign in now` : `${of.name} has a new password`), (error: unknown) => setProblem(asProblem(error)));
  };
  return (
    <Dialog title={props.of === 'new' ? 'Add a user' : `New password for ${props.of.name}`} close={props.close}>
      <form class="stack" onSubmit={send}>
        <Show when={props.of === 'new'}>
          <Field label="Name"><input required autofocus autocomplete="off" autocapitalize="none" value={name()} onInput={(event) => setName(event.currentTarget.value)} /></Field>
          <Field label="Role"><select value={role()} onChange={(event) => setRole(event.currentTarget.value as Role)}><For each={ROLES}>{([value, label]) => <option value={value}>{label}</option>}</For></select></Field>
        </Show>
        <Field label="Password" hint="At least 10 characters. They can change it."><input type="password" autocomplete="new-password" minlength={10} required value={password()} onInput={(event) => setPassword(event.currentTarget.value)} /></Field>
        <ProblemNote problem={problem()} />
        <div class="row end"><button type="submit" class="button primary">{props.of === 'new' ? 'Add' : 'Set'}</button></div>
      </form>
    </Dialog>
  );
};

export default Users;
