"""What people, voicemail boxes and phone menus say in the recordings of `answering`, by language, in two sets.

The detector was tuned with the one, which includes two earlier sets that had been kept from it until they showed what
was wrong. It was not changed after it had first heard the other.
"""

from collections.abc import Mapping

Texts = Mapping[str, Mapping[str, tuple[str, ...]]]

HELLO: Texts = {
    "tuning": {
        "en-us": (
            "Hello?",
            "Hello, who is there?",
            "Yes, hi.",
            "Anna Miller speaking.",
            "Hi, this is Tom, who is calling please?",
            "Yes?",
            "Speaking.",
            "Hey, what's up?",
            "Johnson residence.",
        ),
        "de": ("Hallo?", "Schneider, guten Tag.", "Ja, bitte?", "Weber am Apparat.", "Hallo, wer ist da?"),
        "fr-fr": ("Allô?", "Oui, bonjour."),
        "en-gb": ("Hello?", "Yeah?", "Good morning, how can I help you?", "This is Peter."),
        "es": ("Dígame.", "Hola, buenos días, ¿quién es?"),
        "it": ("Pronto?", "Sì, chi parla?"),
        "nl": ("Met Jan de Vries.", "Hallo?"),
        "pl": ("Słucham?", "Dzień dobry, tu Kowalski."),
        "pt-br": ("Alô?", "Oi, quem fala?"),
        "en-gb-x-rp": ("Hello, Mary speaking.", "Hello there, who is it?"),
        "en-gb-scotland": ("Aye, hello?", "Hello, can you hear me?"),
        "fr-be": ("Oui?", "Allô, qui est à l'appareil?"),
        "sv": ("Hej, det är Karin.", "Hallå?"),
        "da": ("Det er Mette.", "Ja, hallo?"),
        "hu": ("Tessék?", "Halló, ki az?"),
        "cs": ("Prosím?", "Dobrý den, tady Novák."),
        "fi": ("Virtanen.", "Haloo, kuka siellä?"),
        "pt": ("Está lá?", "Estou, quem fala?"),
    },
    "held out": {
        "en-us-nyc": ("Hello, Frank here.", "Yeah, who's this?", "Hello?"),
        "en-gb-x-gbcwmd": ("Hello, Susan Clark.", "Hiya."),
        "en-us": ("Good evening.", "Hi, you've reached Kevin, go ahead.", "Yep?"),
        "de": ("Müller.", "Guten Abend, wer spricht?"),
        "es-419": ("¿Bueno?", "Sí, ¿quién habla?"),
        "fr-ch": ("Oui, allô, j'écoute.", "Bonsoir."),
        "nb": ("Hallo, det er Ola.", "Ja, hei?"),
        "ro": ("Alo, cine e?", "Da, vă rog."),
        "sk": ("Prosím, kto volá?", "Haló?"),
        "ca": ("Digui?", "Hola, sóc la Montse."),
        "tr": ("Alo, buyurun.", "Efendim?"),
        "hr": ("Halo, tko je?", "Molim?"),
    },
}
COMPANY: Texts = {
    "tuning": {
        "en-us": (
            "Good morning, Miller and Sons, this is Anna, how can I help you today?",
            "Doctor Brown's office, this is Linda, how may I direct your call?",
        ),
        "de": (
            "Firma Schneider, mein Name ist Anna Weber, guten Tag.",
            "Autohaus Becker, Sie sprechen mit Thomas Klein, was kann ich für Sie tun?",
        ),
        "en-gb": ("Thank you for calling the Harbour Hotel, Peter speaking, what can I do for you?",),
        "es": ("Clínica San Juan, buenas tardes, le atiende Carmen.",),
        "it": ("Studio dentistico Rossi, buongiorno, sono Paola.",),
        "nl": ("Goedemiddag, u spreekt met Sanne van de klantenservice.",),
        "en-gb-x-rp": ("Green and Partners solicitors, good afternoon.",),
        "sv": ("Välkommen till Svenssons bageri, du talar med Lisa.",),
        "pt": ("Farmácia Central, boa tarde, em que posso ajudar?",),
    },
    "held out": {
        "en-us": ("Riverside Garage, Steve speaking, what can I help you with?", "Front desk, how can I help?"),
        "en-gb-x-gbcwmd": ("Good afternoon, Oak Tree Veterinary Clinic, Julie speaking.",),
        "de": ("Praxis Doktor Hoffmann, guten Morgen, was kann ich für Sie tun?",),
        "es-419": ("Ferretería El Sol, buenos días, ¿en qué le puedo ayudar?",),
        "nb": ("Hansens rørleggerservice, du snakker med Kari.",),
        "tr": ("Deniz Otel, iyi günler, nasıl yardımcı olabilirim?",),
    },
}
GREETING: Texts = {
    "tuning": {
        "en-us": (
            "Hi, this is Bob. Leave a message.",
            "You have reached Anna Miller. I cannot come to the phone right now. Please leave your name and "
            "number after the tone, and I will call you back.",
            "Your call has been forwarded to an automatic voice message system. Two zero six, five five five, "
            "zero one two three, is not available. At the tone, please record your message. When you have "
            "finished recording, you may hang up, or press one for more options.",
            "Thanks for calling. Nobody can take your call at the moment. Our office hours are Monday to "
            "Friday, nine to five. Please leave your name, your number and a short message after the beep.",
            "You have reached the voice mail box of: five, five, five, zero, one, nine, nine. Record after the tone.",
            "Hey, it's Mike. You know what to do.",
            "The Google subscriber you have called is not available. Please leave a message after the tone.",
            "Hello? Just kidding, I'm not here. Leave me a message and I'll get back to you as soon as I can.",
        ),
        "de": (
            "Hier ist die Mailbox von Anna Schneider. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
            "Der gewünschte Gesprächspartner ist zur Zeit nicht erreichbar. Bitte sprechen Sie nach dem Ton.",
            "Autohaus Becker. Unser Büro ist im Moment nicht besetzt. Wir rufen Sie gerne zurück.",
        ),
        "fr-fr": ("Bonjour, vous êtes bien chez Claire. Laissez-moi un message après le bip.",),
        "en-gb": (
            "Hello. The person you are calling is unable to take your call. Please leave a message after the tone.",
            "Hi, it's Sophie, I'm probably on holiday. Say something nice after the beep. Bye.",
            "Leave a message.",
        ),
        "es": ("Ha llamado al buzón de voz de Carmen. Por favor, deje su mensaje después de la señal. Gracias.",),
        "it": ("Risponde la segreteria telefonica. Lasciate un messaggio dopo il segnale acustico.",),
        "nl": ("U bent verbonden met de voicemail van Jan de Vries. Spreek een bericht in na de piep.",),
        "pl": ("Dodzwoniłeś się do poczty głosowej. Zostaw wiadomość po sygnale.",),
        "pt-br": ("Sua chamada está sendo encaminhada para a caixa postal. Deixe seu recado após o sinal.",),
        "en-gb-x-rp": (
            "This is the voicemail of Doctor Green. I am away until Monday. In an emergency, please ring "
            "the hospital. Otherwise, leave me a message and I shall ring you back.",
            "We are sorry, but nobody is available to take your call. Please speak after the tone.",
        ),
        "en-gb-scotland": ("Hiya, you've missed me. Leave your name and I'll phone you back. Cheers.",),
        "fr-be": ("Vous êtes sur la messagerie de Luc. Je ne suis pas disponible. Merci de laisser un message.",),
        "sv": ("Hej, du har kommit till Karins telefonsvarare. Lämna ett meddelande efter pipet.",),
        "da": ("Du har ringet til Mette. Jeg kan ikke tage telefonen lige nu. Læg en besked efter tonen.",),
        "hu": ("A hívott szám jelenleg nem elérhető. Kérem, hagyjon üzenetet a sípszó után.",),
        "fi": ("Tavoittelemaanne henkilöön ei juuri nyt saada yhteyttä. Jättäkää viesti äänimerkin jälkeen.",),
    },
    "held out": {
        "en-gb-x-gbcwmd": (
            "You are through to the answering machine of the Clark family. Please leave your message after the beep.",
            "Sorry I missed you. Try my mobile, or leave a message here.",
        ),
        "en-us-nyc": (
            "Frank. Leave it at the beep.",
            "Yo, you got Frank's phone. I'm probably on the train right now. Text me, or leave a message, and I'll "
            "call you back when I get home.",
        ),
        "en-us": (
            "We're sorry. The customer you are trying to reach has not set up a voice mailbox yet. Please record your "
            "message at the tone.",
            "Riverside Garage. We are closed now. Leave us your name, number, and the make of your car.",
        ),
        "de": (
            "Guten Tag. Leider rufen Sie außerhalb unserer Sprechzeiten an. Sie können eine Nachricht hinterlassen.",
        ),
        "es-419": ("No estoy disponible en este momento. Deja tu mensaje y te llamo más tarde.",),
        "fr-ch": ("Le correspondant que vous avez demandé n'est pas disponible. Laissez un message après le signal.",),
        "nb": ("Du har kommet til telefonsvareren til Ola. Legg igjen en beskjed etter pipetonen.",),
        "ro": ("Abonatul apelat nu este disponibil. Vă rugăm lăsați un mesaj după semnalul sonor.",),
        "sk": ("Dovolali ste sa do odkazovej schránky. Zanechajte odkaz po zaznení tónu.",),
        "ca": ("Ara no puc atendre la trucada. Deixi el seu missatge després del senyal.",),
        "hr": ("Dobili ste govornu poštu. Molimo ostavite poruku nakon zvučnog signala.",),
    },
}
MENU: Mapping[str, Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "tuning": {
        "en-us": (
            (
                "Thank you for calling Acme.",
                "For sales, press one.",
                "For support, press two.",
                "To hear this again, press nine.",
                "To speak to somebody, stay on the line.",
            ),
            (
                "Welcome.",
                "If you know the extension of the person you are calling, dial it now.",
                "For opening hours, press one.",
                "For everything else, press zero.",
            ),
            (
                "Your call is important to us.",
                "Para español, oprima el dos.",
                "Please say or enter your account number, followed by the pound key.",
            ),
            (
                "Thank you for calling City Bank.",
                "If this is an emergency, hang up and dial nine one one.",
                "For balances, press one.",
                "To report a lost card, press two.",
                "For all other questions, press zero.",
            ),
            (
                "Hi.",
                "You can dial an extension at any time.",
                "For directions, press four.",
                "For the operator, press zero.",
            ),
        ),
        "de": (
            (
                "Herzlich willkommen bei der Firma Schneider.",
                "Für den Verkauf drücken Sie die eins.",
                "Für den Kundendienst drücken Sie die zwei.",
            ),
            (
                "Guten Tag.",
                "Bitte wählen Sie aus den folgenden Möglichkeiten.",
                "Für Fragen zu Ihrer Rechnung drücken Sie die eins.",
                "Für technische Störungen die zwei.",
                "Für alles andere die drei.",
            ),
        ),
        "en-gb": (
            (
                "Welcome to the Harbour Hotel.",
                "This call may be recorded for training purposes.",
                "To book a room, press one.",
                "To change a booking, press two.",
                "For all other questions, please hold.",
            ),
            (
                "Please listen carefully, as our options have changed.",
                "Press one for billing.",
                "Press two for repairs.",
                "Press three to hear your balance.",
                "Press four for new customers.",
                "Press star to go back.",
            ),
        ),
        "es": (
            (
                "Bienvenido a Seguros del Norte.",
                "Para contratar, pulse uno.",
                "Para dar un parte, pulse dos.",
                "Para otras consultas, pulse tres.",
            ),
        ),
        "nl": (
            (
                "Welkom bij de klantenservice.",
                "Voor een nieuwe bestelling, toets één.",
                "Voor een klacht, toets twee.",
                "Voor overige vragen, blijf aan de lijn.",
            ),
        ),
        "en-gb-x-rp": (
            (
                "Good afternoon, and welcome to the surgery.",
                "To make an appointment, press one.",
                "For test results, press two.",
                "For prescriptions, press three.",
            ),
        ),
        "sv": (
            (
                "Välkommen till kundtjänst.",
                "För beställningar, tryck ett.",
                "För fakturafrågor, tryck två.",
                "För övriga frågor, tryck noll.",
            ),
        ),
        "pt": (
            (
                "Bem-vindo ao apoio ao cliente.",
                "Para faturas, marque um.",
                "Para avarias, marque dois.",
                "Para falar com um assistente, marque nove.",
            ),
        ),
        "cs": (("Vítejte na zákaznické lince.", "Pro objednávky stiskněte jedna.", "Pro reklamace stiskněte dva."),),
    },
    "held out": {
        "en-us": (
            (
                "Welcome to Metro Airlines.",
                "For arrivals and departures, press one.",
                "To change a flight, press two.",
                "For lost luggage, press three.",
                "To repeat these options, press the star key.",
            ),
            (
                "You have reached Riverside Pharmacy.",
                "To refill a prescription, press one.",
                "To speak to a pharmacist, press two.",
                "For store hours, press three.",
            ),
        ),
        "en-gb-x-gbcwmd": (
            (
                "Thank you for calling the council.",
                "For council tax, press one.",
                "For bins and recycling, press two.",
                "For planning, press three.",
                "For anything else, stay on the line.",
            ),
        ),
        "es-419": (
            (
                "Gracias por llamar a Banco Popular.",
                "Marque uno para saldos.",
                "Marque dos para tarjetas.",
                "Marque cero para hablar con un asesor.",
            ),
        ),
        "nb": (
            (
                "Velkommen til strømselskapet.",
                "For spørsmål om faktura, trykk en.",
                "For strømbrudd, trykk to.",
                "For flytting, trykk tre.",
            ),
        ),
        "ro": (
            (
                "Bine ați venit.",
                "Pentru facturi, apăsați tasta unu.",
                "Pentru deranjamente, apăsați tasta doi.",
                "Pentru un operator, apăsați tasta zero.",
            ),
        ),
        "tr": (
            (
                "Müşteri hizmetlerine hoş geldiniz.",
                "Fatura işlemleri için bire basın.",
                "Arıza bildirmek için ikiye basın.",
                "Operatöre bağlanmak için sıfıra basın.",
            ),
        ),
    },
}
