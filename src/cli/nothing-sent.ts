/** Thrown where a call would have been made (--curl, --explain): the command ends well, without it. */
export class NothingSent extends Error {}
