// The text of the mail that carries a reset token.

export function resetMail(token: string, lifetimeMs: number): { subject: string; body: string } {
  const minutes = Math.round(lifetimeMs / 60_000);
  return {
    subject: "Set a new password",
    body: [
      "Somebody asked to set a new password for your account.",
      `Your one-time code, valid for ${minutes} minutes:`,
      "",
      token,
      "",
      "If it was not you, there is nothing to do: your password stays as it is.",
    ].join("\n"),
  };
}
