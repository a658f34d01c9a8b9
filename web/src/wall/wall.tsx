import type { Component } from 'solid-js';
export const Wall: Component = () => <main class="page"><h1>Live</h1></main>;
