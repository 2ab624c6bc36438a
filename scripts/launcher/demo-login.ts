// The customer the summary shows; demo data makes this account with the folder's DEMO_PASSWORD.

export const DEMO_EMAIL = "demo@shop.test";
