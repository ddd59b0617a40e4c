package peer;

/** A payment with what it comes to: the output of the workload "map". */
public final class Total {
  public long id;
  public String account;
  public double amount;
  public int items;
  public String currency;
  public String store;
  public String channel;
  public long at;
  public boolean paid;
  public double total;

  static Total of(Payment payment) {
    Total total = new Total();
    total.id = payment.id;
    total.account = payment.account;
    total.amount = payment.amount;
    total.items = payment.items;
    total.currency = payment.currency;
    total.store = payment.store;
    total.channel = payment.channel;
    total.at = payment.at;
    total.paid = payment.paid;
    total.total = payment.amount * payment.items;
    return total;
  }
}
