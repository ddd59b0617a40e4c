import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** Reads pairs of schemas with records from standard input, one JSON a line, and says what Java's Avro makes of them. */
public class Main {
  private static final JsonNodeFactory json = JsonNodeFactory.instance;

  public static void main(String[] args) throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.println(mapper.writeValueAsString(answers(mapper.readTree(line))));
    }
  }

  /** For each record its value in `ok`, or the reason of the refusal in `error`. */
  private static ArrayNode answers(JsonNode pair) {
    ArrayNode all = json.arrayNode();
    for (JsonNode body : pair.get("bodies")) {
      ObjectNode answer = json.objectNode();
      try {
        answer.set("ok", read(pair, HexFormat.of().parseHex(body.asText())));
      } catch (Throwable e) {
        answer.put("error", String.valueOf(e.getMessage() == null ? e.getClass().getName() : firstLine(e.getMessage())));
      }
      all.add(answer);
    }
    return all;
  }

  private static String firstLine(String message) {
    String line = message.split("\n")[0];
    return line.length() > 80 ? line.substring(0, 80) : line;
  }

  /** As a deserializer does that takes a writer's schema as the registry has it. */
  private static JsonNode read(JsonNode pair, byte[] body) throws Exception {
    Schema.setNameValidator(NameValidator.NO_VALIDATION);
    // For the reader's aliases Java makes the writer's schema anew, and then refuses a default that nothing reads.
    if (pair.get("reader").toString().contains("\"aliases\"")) dropDefaults(pair.get("writer"));
    Schema writer = new Schema.Parser(NameValidator.NO_VALIDATION).setValidateDefaults(false).parse(pair.get("writer").toString());
    Schema reader = new Schema.Parser(NameValidator.NO_VALIDATION).parse(pair.get("reader").toString());
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(body, null);
    Object datum = new GenericDatumReader<>(writer, reader, new GenericData()).read(null, decoder);
    if (!decoder.isEnd()) throw new IllegalStateException("there are bytes left");
    return shown(reader, datum);
  }

  private static void dropDefaults(JsonNode schema) {
    if (schema instanceof ObjectNode object && object.has("name")) object.remove("default");
    schema.forEach(Main::dropDefaults);
  }

  /** Without logical types, but for the number that the bytes of a decimal are. Whole numbers are texts. */
  private static JsonNode shown(Schema schema, Object datum) {
    switch (schema.getType()) {
      case NULL: return json.nullNode();
      case BOOLEAN: return json.booleanNode((Boolean) datum);
      case INT: case LONG: return json.textNode(datum.toString());
      case FLOAT: return real(((Float) datum).doubleValue());
      case DOUBLE: return real((Double) datum);
      case STRING: case ENUM: return json.textNode(datum.toString());
      case BYTES: {
        ByteBuffer buffer = ((ByteBuffer) datum).duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes(schema, bytes);
      }
      case FIXED: return bytes(schema, ((GenericFixed) datum).bytes());
      case ARRAY: {
        ArrayNode list = json.arrayNode();
        for (Object item : (List<?>) datum) list.add(shown(schema.getElementType(), item));
        return list;
      }
      case MAP: {
        ObjectNode object = json.objectNode();
        Map<String, Object> sorted = new TreeMap<>();
        ((Map<?, ?>) datum).forEach((key, value) -> sorted.put(key.toString(), value));
        sorted.forEach((key, value) -> object.set(key, shown(schema.getValueType(), value)));
        return object;
      }
      case UNION: {
        Schema branch = schema.getTypes().get(GenericData.get().resolveUnion(schema, datum));
        if (branch.getType() == Schema.Type.NULL) return json.nullNode();
        return json.objectNode().set(branch.getFullName(), shown(branch, datum));
      }
      default: {
        ObjectNode object = json.objectNode();
        IndexedRecord record = (IndexedRecord) datum;
        for (Schema.Field field : schema.getFields()) object.set(field.name(), shown(field.schema(), record.get(field.pos())));
        return object;
      }
    }
  }

  private static JsonNode bytes(Schema schema, byte[] bytes) {
    if (schema.getLogicalType() instanceof org.apache.avro.LogicalTypes.Decimal)
      return json.textNode(new BigInteger(bytes).toString());
    return json.textNode(HexFormat.of().formatHex(bytes));
  }

  private static JsonNode real(double value) {
    if (Double.isNaN(value)) return json.textNode("NaN");
    return json.textNode(String.format("%016x", Double.doubleToRawLongBits(value)));
  }
}
