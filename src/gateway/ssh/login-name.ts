/** `USER` or `USER+INSTANCE`: names of users have no plus. The instance may be an id, a number or a name. */
export function readLoginName(name: string): {username: string; instance?: string} {
  const at = name.indexOf('+')
  if (at < 0) return {username: name}
  return {username: name.slice(0, at), instance: name.slice(at + 1)}
}
