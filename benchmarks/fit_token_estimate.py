"""Fit the rates of the character-based token estimate and print them as they stand in the code.

Method: for each writing system, weighted least squares of o200k's count against the counts of words and
letters, after taking off what digits, punctuation and blanks cost; the weight is one over the squared count,
so that relative error counts. Negative rates are dropped and the rest fitted again. No randomness.
Run: python benchmarks/fit_token_estimate.py  (needs the o200k_base vocabulary at hand)
"""

# ruff: noqa: RUF001 - sentences in many scripts

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tokenomics_core.tokens import count_tokens
from tokenomics_core.tokens._estimate import RATES, features_of

GROUPS = {
    "english": ("English",),
    "latin": ("German", "French", "Spanish", "Polish", "Turkish", "Vietnamese"),
    "russian": ("Russian",),
    "cyrillic": ("Ukrainian", "Bulgarian"),
    "greek": ("Greek",),
    "arabic": ("Arabic", "Persian"),
    "hebrew": ("Hebrew",),
    "devanagari": ("Hindi",),
    "indic": ("Bengali", "Tamil"),
    "hangul": ("Korean",),
    "thai": ("Thai",),
    "hiragana katakana han": ("Japanese", "Chinese", "Traditional Chinese"),
}


FIXED = {"digit_groups", "punctuation_runs", "punctuation_more", "blank_runs"}


def fit(rows: Sequence[Sequence[int]], counts: Sequence[float]) -> list[float]:
    """Solve the weighted normal equations; columns whose rate would be negative get 0."""
    columns = list(range(len(rows[0])))
    while True:
        rates = _solve(rows, counts, columns)
        if all(rate >= 0 for rate in rates):
            return [float(rates[columns.index(c)]) if c in columns else 0.0 for c in range(len(rows[0]))]
        columns = [column for column, rate in zip(columns, rates, strict=True) if rate >= 0]


def _solve(rows: Sequence[Sequence[int]], counts: Sequence[float], columns: list[int]) -> list[Fraction]:
    size = len(columns)
    matrix = [[Fraction(0)] * (size + 1) for _ in range(size)]
    for row, count in zip(rows, counts, strict=True):
        weight = 1 / Fraction(count) ** 2
        for i in range(size):
            for j in range(size):
                matrix[i][j] += weight * row[columns[i]] * row[columns[j]]
            matrix[i][size] += weight * row[columns[i]] * Fraction(count)
    for i in range(size):
        pivot = matrix[i][i]
        matrix[i] = [value / pivot for value in matrix[i]]
        for j in range(size):
            if j != i:
                matrix[j] = [a - matrix[j][i] * b for a, b in zip(matrix[j], matrix[i], strict=True)]
    return [matrix[i][size] for i in range(size)]


def fitted_rates() -> dict[str, float]:
    """Fit every group; the rates have the three decimals that the code has."""
    rates: dict[str, float] = {}
    for group, languages in GROUPS.items():
        prefixes = tuple(group.split())
        sentences = [sentence for language in languages for sentence in SENTENCES[language]]
        features = [features_of(sentence) for sentence in sentences]
        names = sorted({name for found in features for name in found if name.startswith(prefixes)})
        rows, counts = [], []
        for sentence, found in zip(sentences, features, strict=True):
            exact = count_tokens(sentence, "gpt-4o", download="never")
            if exact.estimated:
                raise SystemExit("the vocabulary o200k_base is not at hand; nothing was fitted")
            if any(name in found for name in names):  # not where a Russian sentence has no sign of being one
                fixed = sum(RATES[name] * value for name, value in found.items() if name in FIXED)
                rows.append([found.get(name, 0) for name in names])
                counts.append(int(exact) - fixed)
        rates |= {name: round(rate, 3) for name, rate in zip(names, fit(rows, counts), strict=True)}
    return rates


def main() -> None:
    print("Rates in o200k tokens per feature, by weighted least squares:")
    for name, rate in fitted_rates().items():
        print(f'        "{name}": {rate:.3f},')


SENTENCES = {
    "English": (
        "The train to the coast leaves every hour from platform four.",
        "Researchers found that people who sleep badly tend to eat more sugar the next day.",
        "Please restart the router and check whether the light turns green.",
        "My grandmother keeps her recipes in a tin box that smells of cinnamon.",
        "Under the new law, landlords must give tenants at least two months' notice.",
        "The volcano has been quiet since 1912, but scientists continue to measure its temperature.",
        "We recommend that you change your password and enable two-factor authentication.",
        "Although the team lost the final, thousands of fans welcomed the players at the airport.",
        "Add the flour slowly, stirring all the time, until the dough no longer sticks to the bowl.",
        "Unemployment fell to 5.4 percent last year, mainly because of growth in construction.",
        "The patient should take one tablet twice a day with plenty of water.",
        "Nobody in the village could remember when the old bridge had been built.",
    ),
    "German": (
        "Der Zug an die Küste fährt jede Stunde von Gleis vier ab.",
        "Forscher fanden heraus, dass Menschen mit schlechtem Schlaf am nächsten Tag mehr Zucker essen.",
        "Bitte starten Sie den Router neu und prüfen Sie, ob das Lämpchen grün leuchtet.",
        "Meine Großmutter bewahrt ihre Rezepte in einer Blechdose auf, die nach Zimt riecht.",
        "Nach dem neuen Gesetz müssen Vermieter eine Kündigungsfrist von mindestens zwei Monaten einhalten.",
        "Der Vulkan ist seit 1912 ruhig, doch Wissenschaftler messen weiterhin seine Temperatur.",
        "Wir empfehlen Ihnen, Ihr Kennwort zu ändern und die Zwei-Faktor-Anmeldung einzuschalten.",
        "Obwohl die Mannschaft das Endspiel verlor, empfingen Tausende Fans die Spieler am Flughafen.",
        "Das Mehl langsam zugeben und ständig rühren, bis der Teig nicht mehr an der Schüssel klebt.",
        "Die Arbeitslosigkeit sank im vergangenen Jahr auf 5,4 Prozent, vor allem dank der Bauwirtschaft.",
    ),
    "French": (
        "Le train pour la côte part toutes les heures du quai numéro quatre.",
        "Des chercheurs ont constaté que les gens qui dorment mal mangent plus de sucre le lendemain.",
        "Veuillez redémarrer le routeur et vérifier que le voyant devient vert.",
        "Ma grand-mère garde ses recettes dans une boîte en fer qui sent la cannelle.",
        "Selon la nouvelle loi, les propriétaires doivent donner un préavis d'au moins deux mois.",
        "Le chômage est tombé à 5,4 % l'an dernier, surtout grâce au secteur du bâtiment.",
    ),
    "Spanish": (
        "El tren hacia la costa sale cada hora desde el andén número cuatro.",
        "Los investigadores descubrieron que quienes duermen mal suelen comer más azúcar al día siguiente.",
        "Reinicie el enrutador y compruebe si la luz se pone verde.",
        "Mi abuela guarda sus recetas en una caja de lata que huele a canela.",
        "Según la nueva ley, los propietarios deben avisar con al menos dos meses de antelación.",
        "El desempleo bajó al 5,4 % el año pasado, sobre todo gracias a la construcción.",
    ),
    "Polish": (
        "Pociąg nad morze odjeżdża co godzinę z peronu czwartego.",
        "Badacze stwierdzili, że ludzie, którzy źle śpią, następnego dnia jedzą więcej cukru.",
        "Proszę ponownie uruchomić router i sprawdzić, czy lampka świeci na zielono.",
        "Moja babcia trzyma przepisy w blaszanym pudełku, które pachnie cynamonem.",
        "Zgodnie z nową ustawą właściciele muszą zachować co najmniej dwumiesięczny okres wypowiedzenia.",
        "Bezrobocie spadło w zeszłym roku do 5,4 procent, głównie dzięki budownictwu.",
    ),
    "Turkish": (
        "Sahile giden tren her saat başı dördüncü perondan kalkıyor.",
        "Araştırmacılar, kötü uyuyanların ertesi gün daha fazla şeker yediğini saptadı.",
        "Lütfen yönlendiriciyi yeniden başlatın ve ışığın yeşile dönüp dönmediğine bakın.",
        "Büyükannem tariflerini tarçın kokan bir teneke kutuda saklıyor.",
        "Yeni yasaya göre ev sahipleri kiracılara en az iki ay önceden haber vermek zorunda.",
        "Yanardağ 1912'den beri sessiz, ama bilim insanları sıcaklığını ölçmeye devam ediyor.",
        "Parolanızı değiştirmenizi ve iki adımlı doğrulamayı açmanızı öneririz.",
        "Takım finali kaybetmesine rağmen binlerce taraftar oyuncuları havaalanında karşıladı.",
        "Unu yavaşça ekleyin, hamur kaba yapışmayana kadar sürekli karıştırın.",
        "İşsizlik geçen yıl özellikle inşaat sayesinde yüzde 5,4'e geriledi.",
    ),
    "Vietnamese": (
        "Tàu ra bờ biển khởi hành mỗi giờ một chuyến từ sân ga số bốn.",
        "Các nhà nghiên cứu nhận thấy người ngủ kém thường ăn nhiều đường hơn vào ngày hôm sau.",
        "Vui lòng khởi động lại bộ định tuyến và kiểm tra xem đèn có chuyển sang màu xanh không.",
        "Bà tôi cất các công thức nấu ăn trong một chiếc hộp thiếc có mùi quế.",
        "Theo luật mới, chủ nhà phải báo trước cho người thuê ít nhất hai tháng.",
        "Ngọn núi lửa đã yên lặng từ năm 1912, nhưng các nhà khoa học vẫn tiếp tục đo nhiệt độ.",
        "Chúng tôi khuyên bạn nên đổi mật khẩu và bật xác thực hai bước.",
        "Dù đội thua trận chung kết, hàng nghìn người hâm mộ vẫn ra sân bay đón các cầu thủ.",
        "Cho bột vào từ từ, khuấy liên tục cho đến khi bột không còn dính vào bát.",
        "Năm ngoái tỷ lệ thất nghiệp giảm xuống còn 5,4 phần trăm, chủ yếu nhờ ngành xây dựng.",
    ),
    "Russian": (
        "Поезд до побережья отправляется каждый час с четвёртой платформы.",
        "Исследователи выяснили, что люди, которые плохо спят, на следующий день едят больше сахара.",
        "Пожалуйста, перезагрузите роутер и проверьте, загорелась ли зелёная лампочка.",
        "Моя бабушка хранит рецепты в жестяной коробке, которая пахнет корицей.",
        "По новому закону хозяева обязаны предупреждать жильцов не менее чем за два месяца.",
        "Вулкан молчит с 1912 года, но учёные продолжают измерять его температуру.",
        "Советуем вам сменить пароль и включить двухфакторную проверку.",
        "Хотя команда проиграла финал, тысячи болельщиков встретили игроков в аэропорту.",
        "Медленно всыпьте муку, постоянно помешивая, пока тесто не перестанет липнуть к миске.",
        "Безработица в прошлом году снизилась до 5,4 процента, главным образом благодаря строительству.",
    ),
    "Ukrainian": (
        "Потяг до узбережжя вирушає щогодини з четвертої платформи.",
        "Дослідники з'ясували, що люди, які погано сплять, наступного дня їдять більше цукру.",
        "Будь ласка, перезавантажте роутер і перевірте, чи засвітилася зелена лампочка.",
        "Моя бабуся зберігає рецепти в бляшаній коробці, яка пахне корицею.",
        "За новим законом власники мусять попереджати мешканців щонайменше за два місяці.",
        "Вулкан мовчить із 1912 року, але вчені й далі вимірюють його температуру.",
        "Радимо вам змінити пароль і ввімкнути двоетапну перевірку.",
        "Хоча команда програла фінал, тисячі вболівальників зустріли гравців в аеропорту.",
        "Повільно всипте борошно, постійно помішуючи, доки тісто не перестане липнути до миски.",
        "Безробіття торік знизилося до 5,4 відсотка, переважно завдяки будівництву.",
    ),
    "Bulgarian": (
        "Влакът за крайбрежието тръгва на всеки час от четвърти перон.",
        "Изследователи установиха, че хората, които спят лошо, на следващия ден ядат повече захар.",
        "Моля, рестартирайте рутера и проверете дали лампичката свети в зелено.",
        "Баба ми пази рецептите си в тенекиена кутия, която ухае на канела.",
        "Според новия закон наемодателите трябва да дават поне двумесечно предизвестие.",
        "Безработицата спадна миналата година до 5,4 процента, главно благодарение на строителството.",
    ),
    "Greek": (
        "Το τρένο για την ακτή φεύγει κάθε ώρα από την τέταρτη πλατφόρμα.",
        "Οι ερευνητές διαπίστωσαν ότι όσοι κοιμούνται άσχημα τρώνε περισσότερη ζάχαρη την επόμενη μέρα.",
        "Παρακαλώ επανεκκινήστε τον δρομολογητή και ελέγξτε αν το φωτάκι γίνεται πράσινο.",
        "Η γιαγιά μου φυλάει τις συνταγές της σε ένα τενεκεδένιο κουτί που μυρίζει κανέλα.",
        "Με τον νέο νόμο οι ιδιοκτήτες πρέπει να ειδοποιούν τους ενοικιαστές τουλάχιστον δύο μήνες πριν.",
        "Το ηφαίστειο είναι ήσυχο από το 1912, αλλά οι επιστήμονες μετρούν ακόμη τη θερμοκρασία του.",
        "Σας συνιστούμε να αλλάξετε τον κωδικό σας και να ενεργοποιήσετε τον έλεγχο δύο βημάτων.",
        "Αν και η ομάδα έχασε στον τελικό, χιλιάδες φίλαθλοι υποδέχτηκαν τους παίκτες στο αεροδρόμιο.",
        "Ρίξτε το αλεύρι αργά, ανακατεύοντας συνεχώς, ώσπου η ζύμη να μην κολλάει πια στο μπολ.",
        "Η ανεργία έπεσε πέρυσι στο 5,4 τοις εκατό, κυρίως χάρη στις κατασκευές.",
    ),
    "Arabic": (
        "ينطلق القطار المتجه إلى الساحل كل ساعة من الرصيف الرابع.",
        "وجد الباحثون أن من ينامون بشكل سيئ يميلون إلى تناول مزيد من السكر في اليوم التالي.",
        "يرجى إعادة تشغيل جهاز التوجيه والتحقق مما إذا كان الضوء قد صار أخضر.",
        "تحتفظ جدتي بوصفاتها في علبة معدنية تفوح منها رائحة القرفة.",
        "بموجب القانون الجديد يجب على المالكين إخطار المستأجرين قبل شهرين على الأقل.",
        "البركان هادئ منذ عام 1912، لكن العلماء يواصلون قياس درجة حرارته.",
        "ننصحك بتغيير كلمة المرور وتفعيل التحقق بخطوتين.",
        "رغم خسارة الفريق في النهائي استقبل آلاف المشجعين اللاعبين في المطار.",
        "أضف الدقيق ببطء مع التحريك المستمر حتى لا تعود العجينة تلتصق بالوعاء.",
        "انخفضت البطالة في العام الماضي إلى 5.4 في المئة، ويعود ذلك أساسًا إلى قطاع البناء.",
    ),
    "Persian": (
        "قطار ساحل هر ساعت از سکوی چهارم حرکت می‌کند.",
        "پژوهشگران دریافتند افرادی که بد می‌خوابند روز بعد شکر بیشتری می‌خورند.",
        "لطفاً مودم را دوباره روشن کنید و ببینید چراغ آن سبز می‌شود یا نه.",
        "مادربزرگم دستورهای آشپزی‌اش را در جعبه‌ای حلبی نگه می‌دارد که بوی دارچین می‌دهد.",
        "طبق قانون جدید صاحبخانه باید دست‌کم دو ماه پیش‌تر به مستأجر خبر بدهد.",
        "بیکاری سال گذشته به 5.4 درصد رسید که بیشتر به خاطر رونق ساخت‌وساز بود.",
    ),
    "Hebrew": (
        "הרכבת אל החוף יוצאת בכל שעה מרציף ארבע.",
        "חוקרים מצאו שאנשים שישנים רע נוטים לאכול יותר סוכר למחרת.",
        "אנא הפעילו מחדש את הנתב ובדקו אם הנורית הופכת לירוקה.",
        "סבתא שלי שומרת את המתכונים שלה בקופסת פח שמריחה מקינמון.",
        "לפי החוק החדש חייבים בעלי הדירות להודיע לשוכרים לפחות חודשיים מראש.",
        "הר הגעש שקט מאז 1912, אבל המדענים ממשיכים למדוד את הטמפרטורה שלו.",
        "אנו ממליצים לך להחליף את הסיסמה ולהפעיל אימות בשני שלבים.",
        "אף על פי שהקבוצה הפסידה בגמר, אלפי אוהדים קיבלו את השחקנים בשדה התעופה.",
        "הוסיפו את הקמח לאט תוך ערבוב מתמיד, עד שהבצק כבר לא נדבק לקערה.",
        "האבטלה ירדה בשנה שעברה ל-5.4 אחוזים, בעיקר בזכות ענף הבנייה.",
    ),
    "Hindi": (
        "तट की ओर जाने वाली रेलगाड़ी हर घंटे चौथे प्लेटफ़ॉर्म से चलती है।",
        "शोधकर्ताओं ने पाया कि जो लोग ठीक से नहीं सोते, वे अगले दिन ज़्यादा चीनी खाते हैं।",
        "कृपया राउटर को दोबारा चालू करें और देखें कि बत्ती हरी होती है या नहीं।",
        "मेरी दादी अपने व्यंजनों की पर्चियाँ एक टीन के डिब्बे में रखती हैं जिससे दालचीनी की खुशबू आती है।",
        "नए कानून के अनुसार मकान मालिक को किरायेदार को कम से कम दो महीने पहले सूचना देनी होगी।",
        "ज्वालामुखी 1912 से शांत है, लेकिन वैज्ञानिक उसका तापमान लगातार नाप रहे हैं।",
        "हमारी सलाह है कि आप अपना पासवर्ड बदलें और दो चरणों वाला सत्यापन चालू करें।",
        "टीम फ़ाइनल हार गई, फिर भी हज़ारों प्रशंसकों ने हवाई अड्डे पर खिलाड़ियों का स्वागत किया।",
        "आटा धीरे-धीरे डालें और लगातार चलाते रहें, जब तक वह बर्तन से चिपकना बंद न कर दे।",
        "पिछले साल बेरोज़गारी घटकर 5.4 प्रतिशत रह गई, मुख्य रूप से निर्माण क्षेत्र की वजह से।",
    ),
    "Bengali": (
        "উপকূলের ট্রেন প্রতি ঘণ্টায় চার নম্বর প্ল্যাটফর্ম থেকে ছাড়ে।",
        "গবেষকেরা দেখেছেন, যাদের ঘুম ভালো হয় না তারা পরের দিন বেশি চিনি খায়।",
        "অনুগ্রহ করে রাউটারটি আবার চালু করুন এবং দেখুন বাতিটি সবুজ হয় কি না।",
        "আমার দাদি তাঁর রান্নার খাতা একটি টিনের বাক্সে রাখেন, যেটিতে দারুচিনির গন্ধ।",
        "নতুন আইন অনুযায়ী বাড়িওয়ালাকে অন্তত দুই মাস আগে জানাতে হবে।",
        "গত বছর বেকারত্ব কমে 5.4 শতাংশে নেমেছে, প্রধানত নির্মাণ খাতের কারণে।",
    ),
    "Tamil": (
        "கடற்கரைக்குச் செல்லும் ரயில் ஒவ்வொரு மணி நேரமும் நான்காவது நடைமேடையிலிருந்து புறப்படுகிறது.",
        "சரியாகத் தூங்காதவர்கள் அடுத்த நாள் அதிக சர்க்கரை சாப்பிடுகிறார்கள் என்று ஆய்வாளர்கள் கண்டறிந்தனர்.",
        "தயவுசெய்து ரவுட்டரை மீண்டும் இயக்கி விளக்கு பச்சையாக மாறுகிறதா என்று பாருங்கள்.",
        "என் பாட்டி தன் சமையல் குறிப்புகளை ஒரு தகரப் பெட்டியில் வைத்திருக்கிறார்.",
        "புதிய சட்டப்படி வீட்டு உரிமையாளர் குறைந்தது இரண்டு மாதங்களுக்கு முன் அறிவிக்க வேண்டும்.",
        "கடந்த ஆண்டு வேலையின்மை 5.4 சதவீதமாகக் குறைந்தது.",
    ),
    "Thai": (
        "รถไฟไปชายทะเลออกทุกชั่วโมงจากชานชาลาที่สี่",
        "นักวิจัยพบว่าคนที่นอนไม่ดีมักกินน้ำตาลมากขึ้นในวันรุ่งขึ้น",
        "กรุณาเปิดเราเตอร์ใหม่แล้วตรวจดูว่าไฟเปลี่ยนเป็นสีเขียวหรือไม่",
        "คุณยายของฉันเก็บสูตรอาหารไว้ในกล่องสังกะสีที่มีกลิ่นอบเชย",
        "ตามกฎหมายใหม่ เจ้าของบ้านต้องแจ้งผู้เช่าล่วงหน้าอย่างน้อยสองเดือน",
        "ภูเขาไฟสงบมาตั้งแต่ปี 1912 แต่นักวิทยาศาสตร์ยังคงวัดอุณหภูมิของมันอยู่",
        "เราแนะนำให้คุณเปลี่ยนรหัสผ่านและเปิดใช้การยืนยันตัวตนสองขั้นตอน",
        "แม้ทีมจะแพ้ในรอบชิงชนะเลิศ แต่แฟนบอลหลายพันคนก็ไปต้อนรับนักเตะที่สนามบิน",
        "ค่อย ๆ ใส่แป้งลงไปแล้วคนตลอดเวลา จนกว่าแป้งจะไม่ติดชาม",
        "อัตราว่างงานปีที่แล้วลดลงเหลือ 5.4 เปอร์เซ็นต์ ส่วนใหญ่เป็นเพราะงานก่อสร้าง",
    ),
    "Korean": (
        "해안으로 가는 기차는 매시간 4번 승강장에서 출발합니다.",
        "연구자들은 잠을 잘 자지 못한 사람이 다음 날 설탕을 더 많이 먹는다는 사실을 알아냈다.",
        "공유기를 다시 켜고 불빛이 초록색으로 바뀌는지 확인해 주세요.",
        "우리 할머니는 계피 향이 나는 양철 상자에 요리법을 보관하신다.",
        "새 법에 따르면 집주인은 적어도 두 달 전에 세입자에게 알려야 한다.",
        "그 화산은 1912년 이후로 조용하지만 과학자들은 계속 온도를 재고 있다.",
        "비밀번호를 바꾸고 2단계 인증을 켜시기를 권합니다.",
        "팀은 결승에서 졌지만 수천 명의 팬이 공항에서 선수들을 맞이했다.",
        "반죽이 그릇에 더 이상 달라붙지 않을 때까지 계속 저으면서 밀가루를 천천히 넣으세요.",
        "지난해 실업률은 주로 건설업의 성장 덕분에 5.4퍼센트로 떨어졌다.",
    ),
    "Japanese": (
        "海岸行きの列車は一時間ごとに四番線から出発します。",
        "よく眠れなかった人は翌日に砂糖を多くとる傾向があると研究者たちは突き止めた。",
        "ルーターを再起動して、ランプが緑色に変わるかどうか確認してください。",
        "祖母はシナモンの香りがするブリキの箱に料理のメモをしまっている。",
        "新しい法律では、家主は少なくとも二か月前に借り手へ知らせなければならない。",
        "その火山は1912年から静かだが、科学者たちは今も温度を測り続けている。",
        "パスワードを変更し、二段階認証を有効にすることをお勧めします。",
        "チームは決勝で敗れたが、何千人ものファンが空港で選手たちを出迎えた。",
        "生地が器につかなくなるまで、絶えずかき混ぜながら少しずつ小麦粉を加えます。",
        "昨年の失業率は、主に建設業の伸びによって5.4パーセントまで下がった。",
    ),
    "Chinese": (
        "开往海边的火车每小时从四号站台发出一班。",
        "研究人员发现，睡眠不好的人第二天往往会吃更多的糖。",
        "请重新启动路由器，然后检查指示灯是否变成绿色。",
        "我奶奶把食谱放在一个带有肉桂香味的铁盒子里。",
        "根据新的法律，房东必须至少提前两个月通知租客。",
        "这座火山自1912年以来一直很平静，但科学家仍在测量它的温度。",
        "我们建议您修改密码，并开启两步验证。",
        "虽然球队输掉了决赛，但仍有数千名球迷到机场迎接球员。",
        "慢慢加入面粉，不停地搅拌，直到面团不再粘碗为止。",
        "去年失业率降到了5.4%，主要得益于建筑业的增长。",
    ),
    "Traditional Chinese": (
        "開往海邊的火車每小時從四號月臺發出一班。",
        "研究人員發現，睡眠不好的人隔天往往會吃更多的糖。",
        "請重新啟動路由器，然後檢查指示燈是否變成綠色。",
        "我奶奶把食譜放在一個帶有肉桂香味的鐵盒子裡。",
        "根據新的法律，房東必須至少提前兩個月通知房客。",
        "去年失業率降到了5.4%，主要受惠於營建業的成長。",
    ),
}


if __name__ == "__main__":
    main()
