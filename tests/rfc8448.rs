//! The traces of RFC 8448: what was sent there, with the secrets it names, must come out as the RFC says.

use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber};
use wsflow::stream::Role::{self, Client, Server};
use wsflow::time::Timestamp;
use wsflow::tls::facts::{EarlyData, TlsFacts};
use wsflow::tls::{Observer, Origin, SecretStore, TlsOutput};

/// The bytes 0 to 49: the application data of both sides.
fn payload() -> Vec<u8> {
    (0..50).collect()
}

/// RFC 8448 §3, Simple 1-RTT Handshake.
#[test]
fn simple_1_rtt_handshake() {
    let random = "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7";
    let secrets = format!(
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET {random} b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21\n\
         SERVER_HANDSHAKE_TRAFFIC_SECRET {random} b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38\n\
         CLIENT_TRAFFIC_SECRET_0 {random} 9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5\n\
         SERVER_TRAFFIC_SECRET_0 {random} a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643\n"
    );
    let records = [
        (
            Client,
            "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302\
             010000910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000\
             003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d00\
             20001e040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001",
        ),
        (
            Server,
            "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e003300\
             24001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304",
        ),
        (
            Server,
            "17030302a2d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af35edf7869fcf40aa40aa2b8ea73f848a7ca07612ef9\
             f945cb960b4068905123ea78b111b429ba9191cd05d2a389280f526134aadc7fc78c4b729df828b5ecf7b13bd9aefb0e57f27158\
             5b8ea9bb355c7c79020716cfb9b1183ef3ab20e37d57a6b9d7477609aee6e122a4cf51427325250c7d0e509289444c9b3a648f1d\
             71035d2ed65b0e3cdd0cbae8bf2d0b227812cbb360987255cc744110c453baa4fcd610928d809810e4b7ed1a8fd991f06aa62482\
             04797e36a6a73b70a2559c09ead686945ba246ab66e5edd8044b4c6de3fcf2a89441ac66272fd8fb330ef8190579b3684596c960\
             bd596eea520a56a8d650f563aad27409960dca63d3e688611ea5e22f4415cf9538d51a200c27034272968a264ed6540c84838d89\
             f72c24461aad6d26f59ecaba9acbbb317b66d902f4f292a36ac1b639c637ce343117b659622245317b49eeda0c6258f100d7d961\
             ffb138647e92ea330faeea6dfa31c7a84dc3bd7e1b7a6c7178af36879018e3f252107f243d243dc7339d5684c8b0378bf30244da\
             8c87c843f5e56eb4c5e8280a2b48052cf93b16499a66db7cca71e4599426f7d461e66f99882bd89fc50800becca62d6c74116dbd\
             2972fda1fa80f85df881edbe5a37668936b335583b599186dc5c6918a396fa48a181d6b6fa4f9d62d513afbb992f2b992f67f8af\
             e67f76913fa388cb5630c8ca01e0c65d11c66a1e2ac4c85977b7c7a6999bbf10dc35ae69f5515614636c0b9b68c19ed2e31c0b3b\
             66763038ebba42f3b38edc0399f3a9f23faa63978c317fc9fa66a73f60f0504de93b5b845e275592c12335ee340bbc4fddd50278\
             4016e4b3be7ef04dda49f4b440a30cb5d2af939828fd4ae3794e44f94df5a631ede42c1719bfdabf0253fe5175be898e750edc53\
             370d2b",
        ),
        (
            Client,
            "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab68\
             67d726c40546",
        ),
        (
            Server,
            "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a01594025\
             2f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac4\
             6f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69\
             232c86519d86cbeeac87aac347d143f9605d64f650db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce1\
             8696129c8153556b3b6c6779b37bf15985684f",
        ),
        (
            Client,
            "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f\
             5a6292a2977014bd1e3deae63aeebb21694915e4",
        ),
        (
            Server,
            "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4b\
             f2e5f0a21c0047c2abf332540dd032e167c2955d",
        ),
        (Client, "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"),
        (Server, "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"),
    ];
    let (plain, facts) = observe(&secrets, &records);
    assert_eq!(plain, [(Client, payload()), (Server, payload())]);
    assert_eq!((facts.version, facts.cipher.as_deref()), (Some("TLS 1.3"), Some("TLS_AES_128_GCM_SHA256")));
    assert_eq!(facts.sni.as_deref(), Some("server"));
    assert_eq!(facts.certificate.expect("decrypted").subject, "CN=rsa");
    assert_eq!(facts.handshake_done, Some(moment(3)));
    assert!(facts.close_notify.client.is_some() && facts.close_notify.server.is_some() && !facts.resumed);
}

/// RFC 8448 §4, Resumed 0-RTT Handshake.
#[test]
fn resumed_0_rtt_handshake() {
    let random = "1bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95";
    let secrets = format!(
        "CLIENT_EARLY_TRAFFIC_SECRET {random} 3fbbe6a60deb66c30a32795aba0eff7eaa10105586e7be5c09678d63b6caab62\n\
         CLIENT_HANDSHAKE_TRAFFIC_SECRET {random} 2faac08f851d35fea3604fcb4de82dc62c9b164a70974d0462e27f1ab278700f\n\
         SERVER_HANDSHAKE_TRAFFIC_SECRET {random} fe927ae271312e8bf0275b581c54eef020450dc4ecffaa05a1a35d27518e7803\n\
         CLIENT_TRAFFIC_SECRET_0 {random} 2abbf2b8e381d23dbebe1dd2a7d16a8bf484cb4950d23fb7fb7fa8547062d9a1\n\
         SERVER_TRAFFIC_SECRET_0 {random} cc21f1bf8feb7dd5fa505bd9c4b468a9984d554a993dc49e6d285598fb672691\n"
    );
    let padding = "00".repeat(87);
    let hello = format!(
        "1603010200010001fc0303{random}000006130113031302010001cd0000000b0009000006736572766572ff01000100000a0014\
         0012001d00170018001901000101010201030104003300260024001d0020e4ffb68ac05f8d96c99da26698346c6be16482baddda\
         fe051a66b4f18d668f0b002a0000002b0003020304000d0020001e0403050306030203080408050806040105010601020104020502\
         06020202002d00020101001c0002400100150057{padding}002900dd00b800b22c035d829359ee5ff7af4ec900000000262a6494\
         dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e8\
         61be7fd61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f\
         92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4\
         d357fad6aacb0021203add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d"
    );
    let records = [
        (Client, &*hello),
        (Client, "1703030017ab1df420e75c457a7cc5d2844f76d5aee4b4edbf049be0"),
        (
            Server,
            "16030300600200005c03033ccfd2dec890222763472ae8136777c9d7358777bb66e91ea5122495f559ea2d001301000034002900\
             020000003300240\
             01d0020121761ee42c333e1b9e77b60dd57c2053cd94512ab47f115e86eff50942cea31002b00020304",
        ),
        (
            Server,
            "1703030061dc48237b4b879f50d0d4d262ea8b4716eb40ddc1eb957e11126e8a7149c2d012d37a7115957e64ce30008b9e0323f2\
             c05a9c1c77b4f37849a695ab255060a33fee770ca95cb8486bfd0843b87024865ca35cc41c4e515c64dcb1369f98635bc7a5",
        ),
        (Client, "1703030015aca6fc944841298df99593725f9bf9754429b12f09"),
        (
            Client,
            "170303003500f8b467d14cf22a4b3f0b6ae0d8e6cc8d08e0db3515ef5c2bdf1922eafbb70009964716d834fb70c3d2a56c5b1f5f\
             6bdba6c333cf",
        ),
        (
            Client,
            "1703030043b1cebce242aa201be9ae5e1cb2a9aa4b33d4e866af1edb068919237741aa031d7a74d491c99b9d4e232b74206bc6fb\
             aa04fe78be44a9b4f54320a17eb76992afac3103",
        ),
        (
            Server,
            "1703030043275e9f20acff57bc000657d3867df039cccf79047884cf75771746f740b5a83f462a0954c3581393a203a25a7dd141\
             41ef1a37900cdb62ff62dee1ba39ab2590cbf194",
        ),
        (Client, "17030300130facce3246bdfc6369838d6a82ae6de5d422dc"),
        (Server, "17030300135b18af444e8e1eec7158fb62d8f2577d37ba5d"),
    ];
    let (plain, facts) = observe(&secrets, &records);
    assert_eq!(plain, [(Client, b"ABCDEF".to_vec()), (Client, payload()), (Server, payload())]);
    assert_eq!(facts.early_data, Some(EarlyData::Accepted));
    assert!(facts.resumed && facts.certificate.is_none());
    assert!(facts.close_notify.client.is_some() && facts.close_notify.server.is_some());
}

/// RFC 8448 §5, HelloRetryRequest. Only the handshake secrets: no application data was sent.
#[test]
fn hello_retry_request() {
    let random = "b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f";
    let secrets = format!(
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET {random} 158aa7ab8855073582b41d674b4055cabcc534728f659314861b4e08e2011566\n\
         SERVER_HANDSHAKE_TRAFFIC_SECRET {random} 3403e781e2af7b6508da28574f6e95a1abf162de83a97927c37672a4a0cef8a1\n"
    );
    let cookie = "0072\
        71dcd04bb88bc3189119398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf62563\
        6e5f21bb2e23fcc654b1b5b40318d10d137abcbb87574e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c8be778257d16aa3030e9e7\
        841dd9e4c0342267e8ca0caf571fb2b7cff0f934b0";
    let first = format!(
        "16030100b4010000b00303{random}000006130113031302010000810000000b0009000006736572766572ff01000100000a0008\
         0006001d00170018003300260024001d0020e8e8e3f3b93a25ed97a14a7dcacb8a272c6288e585c6484d05262fcad062ad1f002b\
         0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001"
    );
    let retry = format!(
        "16030300b0020000ac0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c001301000084003300\
         020017002c0074{cookie}002b00020304"
    );
    let second = format!(
        "1603030200010001fc0303{random}000006130113031302010001cd0000000b0009000006736572766572ff01000100000a0008\
         0006001d00170018003300470045001700\
         4104a6da7392ec591e17abfd535964b99894d13befb221b3def2ebe3830eac8f0151812677c4d6d2237e85cf01d6910cfb83954e\
         76ba7352830534159897e8065780002b0003020304000d0020001e04030503060302030804080508060401050106010201040205\
         0206020202002c0074{cookie}002d00020101001c00024001001500af{}",
        "00".repeat(175)
    );
    let records = [
        (Client, &*first),
        (Server, &*retry),
        (Client, &*second),
        (
            Server,
            "160303007b020000770303bb341d847fd789c47c387172dc0c9bf147fccacb5043d86ca4c598d3ff571b9800130100004f003300\
             450017004104583e054b7a66672ae020ad9d2686fcc85b5ad41a134a0f03ee72b893052bd85b4c8de6776f5b04ac07d83540eab3\
             e3d9c547bc6528c4317d294686093a6cad7d002b00020304",
        ),
        (
            Server,
            "170303029699bee20baf5b7fc727bfab6223928a381e6d0cf9c4da653f9d2a7b23f7de11cce842d5cf756317\
             63450ffb8b0cc1d238e658af7a12adc86243114ab14a1da2fae42621ce483fb6242eabfaad52566b02b31d2eddedefeb80e66a99\
             00d5f973b40c4fdf74719ecf1b68d7f9c3b6ceb903ca13dd1bb8f8187ae33417e1d152522c5822a1a03ad52c838c55953d610222\
             874cce8e1790b229a2aa0b53c8d377ee720182951dc6181dc5d90bd1f0105ed1e84aa5f75957c6661897079e5ea5007449e3197b\
             dc7c9beeedddeafdd844afa5c315ecfe65e576afe909812880620ec7048b42d7f5c78d76f299d6d82534bdd8f512febc0ed3814a\
             ca470cd8000d3e1cb9962b052fbb950df683a52c2ba77ed3713b122937a6e5170964e2ab7969dcd980b3db9b458da7603124d6dc\
             005e4d6e04b4d0c4baf3275db827dbba0a6db09672171fc057b3851d7e026841e2978fbd2346bbefdd0376bb1108fe9acc92189f\
             5650aa5e85d8e8c7b67ac510dba003d3d7e16350bb66d45013efd44c9b607c0d318c4c7d1a1f5cbc57e20611804e3787d7b4a4b5\
             f08ed8fd70bdaeade02260b12ab842ef690b4a3ee7911e841b374ecd5ebbbc2a54d047b600336dd7d0c88b4bc10e58ee6cb656de\
             7247fa20d8e91deb84628608cf80615b62e96c1491c7ac3755eb6901405d3474fe1ac79d106a0cee56c2577fc88480f96cb6b8c6\
             81b7b68b53c146093908f350888175bdfb0b1e31ad61e30ba0adfe6d223aa03c0783b5001a57587c328a9afcfcfb978d1cd4328f\
             7d9d60530e630befd96c0c816ee20b0100768ae2a6df51fc68f172740a79af11398ee3be1252491fa9c693479e877f94ab7c5f8c\
             ad480203e6ab7b87dd71e8a0729113df17f5eee86ce108d1d72007ec1cd13c85a6c149621e77b7d78d805a30f0be030c315e54",
        ),
        (
            Client,
            "1703030035d74f1923c662fd34137c6f502f3dd2b93d951d1b3bc97e42afe23c31abea92fe91b474999e85e3b791ce252fe8c3e9\
             f939a4120cb2",
        ),
    ];
    let (plain, facts) = observe(&secrets, &records);
    assert!(plain.is_empty() && facts.hello_retry && !facts.resumed);
    assert_eq!(facts.renegotiations, 0);
    assert_eq!(facts.certificate.expect("decrypted").subject, "CN=rsa");
    assert_eq!((facts.handshake_done, facts.decrypted_by), (Some(moment(5)), Some("keylog")));
}

type Plain = Vec<(Role, Vec<u8>)>;

/// Each record is a packet of its own; the moment is its index.
fn observe(secrets: &str, records: &[(Role, &str)]) -> (Plain, TlsFacts) {
    let limits = Limits::default();
    let mut store = SecretStore::new(&limits);
    store.feed(Origin::KeyLog, secrets.as_bytes());
    store.end(Origin::KeyLog);
    assert_eq!(store.counts().malformed, 0);
    let mut observer = Observer::new(&limits);
    let mut plain = Plain::new();
    let mut out = |role: Role, _: Moment, output: TlsOutput<'_>| match output {
        TlsOutput::Plain(bytes) => plain.push((role, bytes.to_vec())),
        TlsOutput::Gap { .. } => panic!("nothing is missing"),
        TlsOutput::End => {}
    };
    for (index, (role, hex)) in records.iter().enumerate() {
        let record = bytes(hex);
        assert_eq!(usize::from(u16::from_be_bytes([record[3], record[4]])), record.len() - 5, "record {index}");
        observer.handle(*role, &record, moment(index), &store, &mut out);
    }
    (plain, observer.facts())
}

fn moment(index: usize) -> Moment {
    Moment { at: Timestamp::from_parts(index as u64, 0), packet: PacketNumber(index as u64 + 1) }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hex")).collect()
}
