"""Common words of other languages, rich in p b m f v and t d k g n, and sentences drawn from them."""

# ruff: noqa: RUF001

from __future__ import annotations

import numpy as np

WORDS: dict[str, tuple[str, ...]] = {
    language: tuple(text.split())
    for language, text in {
        "cs": (
            "maminka tatínek babička pes kočka dům dítě bratr kamarád město vesnice potok pole most obchod "
            "pivo voda káva mléko chléb máslo maso polévka brambory jablko hruška meloun pomeranč banán "
            "medvěd opice papoušek tygr kapr motýl pavouk kohout kůň kráva ovce beran holub vrabec vlk zub "
            "hlava ruka noha prst oko ucho břicho papír tabule kniha pero počítač telefon obraz okno dveře "
            "podlaha postel pokoj kuchyně komín zámek kabát bota klobouk knoflík kapesník tma světlo bouře "
            "mrak vítr vánoce podzim jaro léto pondělí pátek doba minuta den týden umím vím běží kupuje "
            "mluví píše pije volá vaří myje odpovídá pomáhá potkává miluje dává bere otevírá zavírá vidí "
            "kde kdo kdy kam proč tam tady dobrý velký malý bílý modrý zelený nový starý mokrý teplý "
            "studený pomalý veselý hubený tlustý a ale nebo když proto pod nad mezi před bez opravdu možná "
            "především film fotbal fialka fazole"
        ),
        "de": (
            "Mutter Vater Bruder Baum Blume Apfel Birne Pflaume Kopf Hand Fuß Finger Buch Papier Brief "
            "Lampe Fenster Tür Tisch Stuhl Bett Zimmer Küche Kaffee Tee Milch Brot Butter Käse Suppe "
            "Kartoffel Pfeffer Salz Zucker Wasser Wein Bier Abend Morgen Mittag Woche Monat Jahr Sommer "
            "Winter Frühling Herbst Wetter Regen Schnee Wind Sonne Mond Himmel Berg Fluss Brücke Dorf "
            "Stadt Straße Auto Bahn Bus Fahrrad Flugzeug Boot Hund Katze Vogel Fisch Pferd Kuh Affe Bär "
            "Biene Mücke Käfer Knopf Hemd Hose Mantel Mütze bauen bringen beginnen bleiben kaufen kommen "
            "geben gehen finden fahren fliegen fragen machen mögen denken danken trinken treffen vergessen "
            "verstehen wohnen warten gut böse schön grün blau braun müde fröhlich möglich wichtig viel "
            "wenig bald immer niemals vielleicht aber und oder weil dann doch bitte danke überall über "
            "unter neben zwischen vor nach mit ohne für gegen Problem Bibliothek Computer Universität"
        ),
        "es": (
            "madre padre hermano abuela amigo niño bebé hombre mujer perro gato pájaro paloma vaca oveja "
            "lobo búfalo árbol bosque campo playa pueblo ciudad puente camino plaza museo puerta ventana "
            "mesa cama cuarto baño cocina lámpara libro papel pluma carta palabra número pregunta problema "
            "cabeza mano pie boca nariz ojo pelo cuerpo pan manteca queso sopa pimienta patata tomate "
            "manzana pera uva naranja vino cerveza café agua leche fuego nube viento lluvia tormenta nieve "
            "invierno verano otoño febrero noviembre sábado minuto semana tiempo camisa zapato botón "
            "sombrero abrigo comprar vender beber comer volver vivir abrir cantar bailar pintar pagar "
            "pensar poder tomar mover mandar buscar empezar terminar bueno malo grande pequeño blanco "
            "negro verde azul amable famoso pobre importante posible nuevo viejo cómodo rápido también "
            "tampoco nunca bien mejor entonces aunque porque pero donde cuando de con para por sobre "
            "fútbol familia favor fábrica fiebre"
        ),
        "fi": (
            "mamma pappa mummo vauva poika tyttö veli ystävä mies nainen perhe koti talo piha pihapuu puu "
            "metsä pelto kukka lammikko vuori meri ranta saari silta tie katu kauppa kaupunki kylä koulu "
            "kirja kynä paperi kuva pöytä tuoli sänky lamppu ikkuna ovi keittiö huone katto portti leipä "
            "voi juusto maito kahvi tee vesi puuro keitto peruna porkkana omena päärynä banaani mansikka "
            "mustikka pippuri suola sokeri kala liha kana muna pulla pannukakku koira kissa lintu hevonen "
            "lehmä lammas karhu susi kettu hiiri perhonen ampiainen sammakko pää käsi jalka sormi silmä "
            "korva nenä suu hammas vatsa takki paita housut kenkä nappi hattu kesä talvi syksy kevät aamu "
            "ilta yö päivä viikko kuukausi vuosi minuutti ostaa myy juo syö menee tulee leipoo ompelee "
            "puhuu lukee tekee pitää antaa ottaa avaa kantaa juoksee hyppää nauraa hyvä paha iso pieni "
            "punainen vihreä musta uusi vanha kylmä lämmin nopea hidas kaunis mutta ja tai kun missä mihin "
            "filmi fysiikka viime hyvin nyt ehkä pitkin"
        ),
        "fr": (
            "maman papa frère femme homme bébé ami enfant famille maison porte fenêtre chambre cuisine "
            "table lampe livre papier plume lettre problème numéro mot phrase tête main pied bouche nez "
            "dent peau ventre pain beurre fromage soupe poivre pomme poire prune banane tomate viande "
            "poisson café thé vin bière eau lait sucre feu lune soleil nuage vent pluie tempête neige "
            "printemps été automne hiver matin midi soir semaine moment minute année montagne fleuve pont "
            "village ville rue place musée jardin fleur arbre forêt plage bateau avion voiture vélo chien "
            "chat oiseau pigeon vache mouton loup éléphant papillon abeille chemise manteau bouton chapeau "
            "acheter vendre boire manger vivre ouvrir fermer chanter peindre payer penser pouvoir donner "
            "demander trouver tomber bon mauvais grand petit blanc noir vert bleu brun jeune vieux nouveau "
            "possible important aimable fameux mais puis quand pourquoi beaucoup peu bien jamais toujours "
            "peut-être avec pour dans sous devant derrière un deux neuf onze vingt"
        ),
        "hi": (
            "माँ पिता भाई बहन बाबा मामा दादी दोस्त बच्चा आदमी औरत परिवार घर कमरा दरवाज़ा खिड़की मेज़ "
            "पलंग बत्ती किताब कागज़ कलम पत्र नाम बात सवाल काम पैर हाथ मुँह नाक कान आँख पेट बाल पानी दूध "
            "चाय रोटी मक्खन पनीर दाल चावल सब्ज़ी आलू टमाटर फल आम केला पपीता अमरूद बादाम नमक मिर्च "
            "बाज़ार दुकान पैसा गाँव शहर पुल नदी पहाड़ पेड़ पत्ता फूल बाग मैदान समुद्र नाव बस गाड़ी "
            "कुत्ता बिल्ली गाय भैंस भालू बंदर मोर कबूतर मछली मकड़ी तितली बादल बारिश हवा तूफ़ान सुबह शाम "
            "रात दिन मौसम महीना साल समय पढ़ना बोलना पीना खाना बेचना खरीदना देना मिलना भागना बनाना "
            "भूलना बुलाना अच्छा बुरा बड़ा छोटा नया पुराना पीला नीला भूरा काला गरम ठंडा मीठा महान कठिन "
            "मुमकिन बहुत कम अब तब कब कभी जब और मगर पर में तक फिर भी नहीं बिना पास दूर"
        ),
        "it": (
            "mamma babbo fratello bambino donna uomo nonna amico famiglia casa porta finestra camera "
            "cucina tavolo lampada libro penna lettera parola numero domanda problema tempo testa mano "
            "piede bocca naso dente pelle pancia pane burro formaggio zuppa pepe patata pomodoro mela pera "
            "prugna banana vino birra acqua latte fuoco luna sole nuvola vento pioggia tempesta neve "
            "primavera estate autunno inverno mattina sera settimana minuto gennaio febbraio sabato "
            "montagna fiume ponte paese piazza museo giardino fiore albero foresta spiaggia barca aereo "
            "bicicletta cane gatto uccello mucca capra lupo elefante farfalla ape camicia cappotto bottone "
            "cappello comprare vendere bere mangiare vivere aprire cantare dipingere pagare pensare potere "
            "dare trovare prendere buono cattivo grande piccolo bianco nero verde blu giovane vecchio "
            "nuovo possibile importante famoso povero ma poi quando perché molto poco bene mai sempre "
            "forse con per dentro sopra davanti dietro come dove gnomo ragno bagno figlio foglia gamba "
            "tromba ombra campo tempio bomba"
        ),
        "ja": (
            "おかあさん おとうさん ともだち こども あかちゃん かぞく うち まど ドア つくえ ベッド ランプ "
            "ほん かみ ペン てがみ ことば ばんごう もんだい あたま て あし くち みみ はな め おなか パン "
            "バター チーズ スープ こしょう じゃがいも トマト りんご ぶどう バナナ みかん もも うめ ワイン "
            "ビール みず ぎゅうにゅう おちゃ ひ つき くも かぜ あめ ゆき はる なつ あき ふゆ あさ ばん "
            "しゅうまつ どようび やま かわ はし むら まち みち びじゅつかん にわ き もり うみ ふね ひこうき "
            "じてんしゃ いぬ ねこ とり うま うし ぶた さる おおかみ ぞう ちょう シャツ コート ボタン ぼうし "
            "かう うる のむ たべる いきる あける うたう えらぶ はらう おもう よむ あそぶ とぶ まつ もらう "
            "いい わるい おおきい ちいさい しろい くろい みどり あおい わかい ふるい あたらしい たいせつ "
            "ゆうめい でも それから いつ なぜ たくさん すこし たぶん ぜんぶ ときどき ふつう ふたつ みっつ "
            "きっぷ さんぽ しんぶん がんばる えんぴつ ほんとう"
        ),
        "cmn": (
            "ma1ma5 ba4ba5 di4di5 peng2you3 hai2zi5 bao3bao5 nv3ren2 nan2ren2 jia1ting2 fang2zi5 men2 "
            "chuang1hu5 zhuo1zi5 chuang2 deng1 shu1ben3 bao4zhi3 bi3 ming2zi5 wen4ti2 hao4ma3 tou2 shou3 "
            "jiao3 zui3ba5 bi2zi5 er3duo5 pi2fu1 du4zi5 mian4bao1 mi3fan4 nai3lao4 tang1 hu2jiao1 tu3dou4 "
            "fan1qie2 ping2guo3 pu2tao2 xiang1jiao1 pi2jiu3 ka1fei1 shui3 niu2nai3 cha2 huo3 yue4liang4 yun2 "
            "feng1 xia4yu3 bao4feng1 xue3 chun1tian1 xia4tian1 qiu1tian1 dong1tian1 zao3shang5 wan3shang5 "
            "xing1qi1 fen1zhong1 ming2nian2 shan1 he2 qiao2 cun1 cheng2shi4 ma3lu4 guang3chang3 bo2wu4guan3 "
            "hua1yuan2 shu4mu4 sen1lin2 hai3bian1 chuan2 fei1ji1 zi4xing2che1 gou3 mao1 niao3 ma3 niu2 yang2 "
            "da4xiang4 hu2die2 mi4feng1 chen4shan1 mao4zi5 mai3 mai4 he1 chi1 ming2bai5 da3kai1 chang4ge1 "
            "pao3bu4 fu4qian2 bang1mang2 wan2 fei1 mo1 pa2 fang4 fa1xian4 fang1bian4 fei1chang2 hao3 huai4 "
            "da4 xiao3 bai2 hei1 lv4 lan2 lao3 xin1 piao4liang5 ke3neng2 zhong4yao4 you3ming2 dan4shi4 "
            "hou4lai2 wei4shen2me5 hen3duo1 bu4 mei2you3 ye3xu3 pang2bian1 bei3fang1 nan2bian1 ba1 bai3 ban4 "
            "ping2an1 pu3tong1 ping2lun4 ming4 mi4mi4"
        ),
        "pl": (
            "mama tata brat babcia pies kot dom dziecko kobieta mężczyzna rodzina kolega miasto wieś most "
            "droga pole las drzewo kwiat ogród góra rzeka morze plaża łódka samolot rower okno drzwi pokój "
            "kuchnia stół lampa łóżko książka papier pióro list słowo pytanie problem głowa ręka noga usta "
            "nos ząb brzuch chleb masło ser zupa pieprz ziemniak pomidor jabłko gruszka śliwka banan piwo "
            "wino woda mleko kawa ogień księżyc chmura wiatr deszcz burza śnieg wiosna lato jesień zima "
            "poranek wieczór tydzień minuta sobota piątek ptak gołąb krowa owca wilk małpa motyl pszczoła "
            "koszula płaszcz guzik czapka kupować pić jeść żyć otwierać śpiewać malować płacić myśleć móc "
            "dawać pytać znaleźć pomagać biegać pamiętać dobry zły duży mały biały czarny zielony "
            "niebieski młody stary nowy możliwy ważny piękny ale potem kiedy dlaczego bardzo mało zawsze "
            "nigdy może pod nad między przed bez dla film fabryka fotel farba miód piątka bieda wiem"
        ),
        "pt": (
            "mãe pai irmão avó amigo menino bebê homem mulher família casa porta janela quarto cozinha "
            "mesa lâmpada livro papel caneta carta palavra número pergunta problema cabeça mão pé boca "
            "nariz dente pele barriga pão manteiga queijo sopa pimenta batata tomate maçã pera uva banana "
            "vinho cerveja café água leite fogo lua nuvem vento chuva tempestade neve primavera verão "
            "outono inverno manhã tarde semana minuto fevereiro novembro sábado montanha rio ponte aldeia "
            "cidade rua praça museu jardim flor árvore floresta praia barco avião bicicleta cachorro gato "
            "pássaro pombo vaca ovelha lobo elefante borboleta abelha camisa casaco botão chapéu comprar "
            "vender beber comer viver abrir cantar pintar pagar pensar poder dar encontrar pegar bom mau "
            "grande pequeno branco preto verde azul jovem velho novo possível importante famoso pobre mas "
            "depois quando muito pouco bem nunca sempre talvez com para dentro sobre um dois nove bomba "
            "campo tempo limpo"
        ),
        "ru": (
            "мама папа брат бабушка друг ребёнок женщина мужчина семья дом дверь окно комната кухня стол "
            "лампа кровать книга бумага перо письмо слово номер вопрос проблема голова рука нога рот нос "
            "зуб живот хлеб масло сыр суп перец картофель помидор яблоко груша банан пиво вино вода молоко "
            "кофе огонь луна облако ветер дождь буря снег весна лето осень зима утро вечер неделя минута "
            "год февраль пятница суббота гора река мост деревня город улица площадь музей сад цветок "
            "дерево лес пляж лодка самолёт велосипед собака кошка птица голубь корова овца волк слон "
            "бабочка пчела рубашка пальто пуговица шапка купить пить есть жить открыть петь рисовать "
            "платить думать мочь давать найти бежать помнить любить говорить хороший плохой большой "
            "маленький белый чёрный зелёный синий молодой старый новый добрый важный но потом когда почему "
            "много мало всегда никогда может под над между перед без для фильм фабрика футбол фонарь мёд "
            "небо обед пение память вместе"
        ),
    }.items()
}
"""Words by the language's ISO 639 code, as its voices read them; Mandarin (`cmn`) is in pinyin."""


def draw_words(language: str, rng: np.random.Generator) -> str:
    """A sentence of 4 to 9 words of that language in random order, perhaps with a comma or a question mark.

    Args:
        language: a key of `WORDS`.
        rng: source of every choice.
    """
    words = [str(word) for word in rng.choice(WORDS[language], int(rng.integers(4, 10)))]
    if len(words) > 5 and rng.random() < 0.5:
        words[int(rng.integers(2, len(words) - 2))] += ","
    text = " ".join(words)
    end = str(rng.choice([".", ".", ".", "?", "!"]))
    return text[0].upper() + text[1:] + end
