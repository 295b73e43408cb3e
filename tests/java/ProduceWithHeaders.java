import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Produces records with headers, which Kafka's console producer cannot. Reads one record a line:
 * value, then name=value for each header, all separated by tabs.
 *
 * <p>Arguments: bootstrap servers, topic, codec.
 */
public final class ProduceWithHeaders {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("compression.type", arguments[2]);
    properties.put("acks", "all");
    // What comes together shall travel together.
    properties.put("linger.ms", "200");
    StringSerializer text = new StringSerializer();
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, text, text)) {
      String line;
      while ((line = lines.readLine()) != null) {
        String[] fields = line.split("\t", -1);
        ProducerRecord<String, String> record = new ProducerRecord<>(arguments[1], fields[0]);
        for (int i = 1; i < fields.length; i++) {
          String[] header = fields[i].split("=", 2);
          record.headers().add(header[0], header[1].getBytes(StandardCharsets.UTF_8));
        }
        producer.send(
            record,
            (metadata, error) -> {
              if (error != null) {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
              }
            });
      }
    }
  }
}
