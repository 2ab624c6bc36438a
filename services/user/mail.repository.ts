// Mails that wait while no mail transport is configured; admins read them.
import { type PageOf, pageOf } from "../kernel/schema.ts";
import { type MailRow, readable, type UserModels } from "./user.models.ts";

export interface Mail {
  readonly id: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly created_at: string;
}

/** Newest first. */
export async function listMails(
  models: Pick<UserModels, "mails">,
  params: { page?: number; page_size?: number },
): Promise<PageOf<Mail>> {
  const { page, pageSize, offset } = pageOf(params);
  const [total, rows] = await readable(() =>
    Promise.all([
      models.mails.count(),
      models.mails.findAll({
        order: [
          ["created_at", "DESC"],
          ["id", "DESC"],
        ],
        limit: pageSize,
        offset,
        raw: true,
      }) as unknown as Promise<MailRow[]>,
    ]),
  );
  return { items: rows.map(mailOf), page, page_size: pageSize, total };
}

function mailOf({ id, recipient, subject, body, created_at }: MailRow): Mail {
  return { id, recipient, subject, body, created_at: created_at.toISOString() };
}
