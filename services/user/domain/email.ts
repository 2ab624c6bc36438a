// E-mail addresses as accounts are known by.

/** Two spellings that people take for the same address are the same account. */
export function normaliseEmail(email: string): string {
  return email.trim().toLowerCase();
}
