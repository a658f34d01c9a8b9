import type { Component } from 'solid-js';
const Screen: Component<{ device?: string }> = () => <main class="page"><h1>events</h1></main>;
export default Screen;
