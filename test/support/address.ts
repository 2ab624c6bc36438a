// A delivery address as a customer types it.
export const ADDRESS = {
  recipient: "Lin",
  phone: "+86 10 5555 0100",
  country: "CN",
  region: "Beijing",
  city: "Beijing",
  street: "1 Long Street",
  postal_code: "100000",
};
