import type { Component } from 'solid-js';
const Screen: Component<{ device?: string }> = () => <main class="page"><h1>imports</h1></main>;
export default Screen;
