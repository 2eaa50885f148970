/** How a user of this process starts a command: in a checkout through npm, which says so in the environment. */
export function commandName(env: NodeJS.ProcessEnv): string {
  return env.npm_lifecycle_event === 'start' ? 'npm start --' : 'daylight';
}
