package peer;

/** What the input topic holds. Public fields are the quickest that Jackson binds without code generation. */
public final class Payment {
  public long id;
  public String account;
  public double amount;
  public int items;
  public String currency;
  public String store;
  public String channel;
  public long at;
  public boolean paid;
}
